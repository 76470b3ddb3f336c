/* Sums over each tile of RIM_CELLS x RIM_CELLS cells near clipped ones, from which the colour of clipped light is told
   (highlights.py). Of a cell without clipped samples, with the balanced light c of mean b, values below black as 0:
   p = c / b its colour, u = b^2 its weight, so that the brightest cells, which are nearly clipped, decide.

     0..2 u p    3 u    4..6 u^2 p    7 u^2    8 u^2 |p|^2
     9           1 where a cell is not clipped in all channels, else 0

   Only tiles that are marked (develop_bin) or next to a marked one have sums; others are 0, with 1 in channel 9. */

__kernel void develop_rims(__global const VALUE *values, __global const uchar *marks, __global float *sums, int width,
                           int height, int red, float4 black, float4 inverse, float16 colour)
{
    int tx = get_global_id(0), ty = get_global_id(1);
    int half_width = (width + 1) / 2, half_height = (height + 1) / 2;
    int columns = (half_width + RIM_CELLS - 1) / RIM_CELLS, rows = (half_height + RIM_CELLS - 1) / RIM_CELLS;
    if (tx >= columns || ty >= rows)
        return;
    bool is_near = false;
    for (int j = max(ty - 1, 0); j <= min(ty + 1, rows - 1); j++)
        for (int i = max(tx - 1, 0); i <= min(tx + 1, columns - 1); i++)
            is_near = is_near || marks[(size_t)j * columns + i];
    float4 sum = 0.0f, sum_of_squares = 0.0f;
    float spread = 0.0f, is_open = is_near ? 0.0f : 1.0f;
    if (is_near)
        for (int y = ty * RIM_CELLS; y < min((ty + 1) * RIM_CELLS, half_height); y++)
            for (int x = tx * RIM_CELLS; x < min((tx + 1) * RIM_CELLS, half_width); x++) {
                float3 clipped;
                float mixed;
                float3 raw = raw_cell(values, width, height, red, black, inverse, colour.s3, x, y, &clipped, &mixed);
                is_open = fmin(clipped.x, fmin(clipped.y, clipped.z)) < 1.0f ? 1.0f : is_open;
                float3 light = fmax(raw, 0.0f) * colour.s012;
                float mean = (light.x + light.y + light.z) / 3.0f;
                if (mean <= 0.0f || fmax(clipped.x, fmax(clipped.y, clipped.z)) > 0.0f)
                    continue;
                float3 hue = light / mean;
                float weight = mean * mean;
                sum += weight * (float4)(hue, 1.0f);
                sum_of_squares += weight * weight * (float4)(hue, 1.0f);
                spread += weight * weight * dot(hue, hue);
            }
    __global float *tile = sums + 10 * ((size_t)ty * columns + tx);
    vstore4(sum, 0, tile);
    vstore4(sum_of_squares, 1, tile);
    tile[8] = spread;
    tile[9] = is_open;
}
