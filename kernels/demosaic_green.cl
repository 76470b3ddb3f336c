/* Green minus red at red pixels and green minus blue at blue ones; 0 at green (Pekkucuksen and Altunbasak 2010,
   equations 4-5). Four estimates, each the mean of five colour differences from the pixel outwards up, down,
   left and right, are weighted by 1 / (sum of the gradients over the same five + FLOOR)^2: across an edge the
   gradient is large and the weight small. Where there is no gradient all four have the same weight.
   A small saturated light has no even difference over five pixels: red dots would be white on red's lattice. So green
   at a peak c of red or blue is at most

       m (1 + PEAK m / c) + MARGIN,   m the brightest of the four green neighbours:

   white light that a lens draws as small as it can has m of half of c or more, and is not limited.
   The outer four pixels are 0. */

#define FLOOR 1e-5f /* gradients, on the curve's scale, under which directions do not matter */
#define PEAK 1.5f
#define MARGIN 0.05f /* on the curve's scale, above noise */

__kernel void demosaic_green(__global const float *band, __global const float2 *differences,
                             __global const float2 *gradients, __global float *chroma, int width, int rows,
                             int red_x, int red_y)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= rows)
        return;
    size_t at = (size_t)y * width + x;
    float result = 0.0f;
    if (!(((x ^ red_x) ^ (y ^ red_y)) & 1) && x >= 4 && y >= 4 && x < width - 4 && y < rows - 4) {
        float4 gradient = FLOOR, value = 0.0f;
        for (int n = 0; n < 5; n++) {
            size_t up = at - (size_t)n * width, down = at + (size_t)n * width;
            gradient += (float4)(gradients[up].y, gradients[down].y, gradients[at - n].x, gradients[at + n].x);
            value += (float4)(differences[up].y, differences[down].y, differences[at - n].x,
                              differences[at + n].x);
        }
        float4 weight = (FLOOR / gradient) * (FLOOR / gradient);
        result = dot(weight, value) / (5.0f * dot(weight, (float4)(1.0f)));
        float c = band[at], most = fmax(fmax(band[at - 1], band[at + 1]), fmax(band[at - width], band[at + width]));
        most = fmax(most, 0.0f);
        if (c > most)
            result = fmin(result, most * (1.0f + PEAK * most / c) + MARGIN - c);
    }
    chroma[at] = result;
}
