/* How far the blur is outside the sharp exposure's range around a pixel, in standard deviations of noise.

     e_c = max(B_c - max S_c, min S_c - B_c, 0) / sqrt(scale max(S_c, 0) + offset + (tolerance S_c)^2)
     excess = max over the colours e_c,   max S and min S over the 3 x 3 pixels around, edges clamped

   S is the guide squared, all on the half grid. Comparing with the range of 3 x 3 pixels tolerates an edge
   that is half a pixel off. Blur within the range -> 0; blur without coverage (channel 4 = 0) -> 0. */
__kernel void composite_excess(__global const float *blur, __global const half *guide, __global float *excess,
                               int width, int height, float scale, float offset, float tolerance)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t at = (size_t)y * width + x;
    float4 low = fetch4(guide, width, height, x, y), high = low, here = low;
    for (int j = y - 1; j <= y + 1; j++)
        for (int i = x - 1; i <= x + 1; i++) {
            float4 g = fetch4(guide, width, height, i, j);
            low = fmin(low, g);
            high = fmax(high, g);
        }
    float4 light = vload4(at, blur), sharp = here * here;
    float4 outside = fmax(fmax(light - high * high, low * low - light), 0.0f);
    float4 noise = sqrt(scale * sharp + offset + tolerance * tolerance * sharp * sharp);
    float4 e = outside / noise;
    excess[at] = light.w > 0.0f ? fmax(e.x, fmax(e.y, e.z)) : 0.0f;
}
