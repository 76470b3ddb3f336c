/* The gain map: log2 of how much brighter an HDR display shows each cell than the SDR print, as 8 bits.

     n = largest channel of the cell's mean light in the display's primaries, times gain
     out = round(255 table(n)),  table: 0 where print and HDR rendition agree, 1 at the largest gain

   The norm is that of finish_tone. Cells that cross the picture's edge take the mean of their pixels inside. */

__kernel void finish_gain(__global const float *light,     /* H W 3, working space */
                          __global const float *table,     /* entries, by sqrt(n / top) */
                          __global const float *to_space,  /* 3 3, working space to display primaries */
                          __global uchar *out,             /* ceil(H / side) ceil(W / side) */
                          int width, int height, int side, int entries, float top, float gain)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x * side >= width || y * side >= height)
        return;
    int right = min((x + 1) * side, width), bottom = min((y + 1) * side, height);
    float r = 0.0f, g = 0.0f, b = 0.0f;
    for (int j = y * side; j < bottom; j++)
        for (int i = x * side; i < right; i++) {
            size_t at = 3 * ((size_t)j * width + i);
            r += light[at];
            g += light[at + 1];
            b += light[at + 2];
        }
    float scale = gain / ((right - x * side) * (bottom - y * side));
    r *= scale;
    g *= scale;
    b *= scale;
    __global const float *m = to_space;
    float red = g + m[0] * (r - g) + m[2] * (b - g);
    float green = g + m[3] * (r - g) + m[5] * (b - g);
    float blue = g + m[6] * (r - g) + m[8] * (b - g);
    float norm = fmax(fmax(red, fmax(green, blue)), 0.0f);
    float at = fmin(sqrt(norm / top), 1.0f) * (entries - 1);
    int i = min((int)at, entries - 2);
    float value = table[i] + (at - i) * (table[i + 1] - table[i]);
    out[y * ((width + side - 1) / side) + x] = convert_uchar_sat_rte(255.0f * value);
}
