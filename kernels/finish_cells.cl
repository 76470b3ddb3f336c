/* The light of cells of CELL x CELL pixels, for local tone mapping and the gain map.

     n = largest channel of the cell's mean light in the display's primaries, times gain
     out = log2(max(n, FLOOR))

   The norm is that of finish_tone. Cells that cross the picture's edge take the mean of their pixels inside.
   Extremes: light that is not finite counts as 0 (NaN) or as the largest half float; below FLOOR all is black. */

#define CELL 4

constant float MAX_LIGHT = 65504.0f;
constant float FLOOR = 0x1p-14f;

__kernel void finish_cells(__global const float *light,     /* H W 3, working space */
                           __global const float *to_space,  /* 3 3, working space to display primaries */
                           __global float *out,             /* ceil(H / CELL) ceil(W / CELL) */
                           int width, int height, float gain)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x * CELL >= width || y * CELL >= height)
        return;
    int right = min((x + 1) * CELL, width), bottom = min((y + 1) * CELL, height);
    float r = 0.0f, g = 0.0f, b = 0.0f;
    for (int j = y * CELL; j < bottom; j++)
        for (int i = x * CELL; i < right; i++) {
            __global const float *pixel = light + 3 * ((size_t)j * width + i);
            r += fmin(fmax(pixel[0], -MAX_LIGHT), MAX_LIGHT);
            g += fmin(fmax(pixel[1], -MAX_LIGHT), MAX_LIGHT);
            b += fmin(fmax(pixel[2], -MAX_LIGHT), MAX_LIGHT);
        }
    float scale = gain / ((right - x * CELL) * (bottom - y * CELL));
    r *= scale;
    g *= scale;
    b *= scale;
    __global const float *m = to_space;
    float red = g + m[0] * (r - g) + m[2] * (b - g);
    float green = g + m[3] * (r - g) + m[5] * (b - g);
    float blue = g + m[6] * (r - g) + m[8] * (b - g);
    out[y * ((width + CELL - 1) / CELL) + x] = log2(fmax(fmax(red, fmax(green, blue)), FLOOR));
}
