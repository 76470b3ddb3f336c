/* Green at every pixel of a colour filter array, and red and blue minus green where they were measured, all on the
   curve of merge_root (Hamilton and Adams 1997, US 5629734, with the two directions mixed instead of chosen):

       along = (a + b) / 2 + (2 c - aa - bb) / 4,   a, b the neighbours in the row, aa, bb the next ones, c the pixel,
       green = (p along + q down) / (p + q),        p = gradient_down^2 + FLAT noise, q = gradient_along^2 + FLAT noise,
       gradient_along = |a - b| + |2 c - aa - bb|,  noise the variance of a root.

   At green pixels green is the measured value. Even areas mix both directions equally, which has the least noise.
   differences holds two planes, red - green and blue - green, one value for each 2 x 2 cell. Pixels outside the
   picture are mirrored about the centre of the edge pixel, which keeps the pattern; red is red's position. What is not a
   number spreads.

   A work-item computes 8 pixels of a row. */
#define FLAT 16.0f

/* 8 pixels from column x of a row on. */
inline float8 eight(__global const half *row, int x, int width)
{
    if (x >= 0 && x + 8 <= width)
        return vload_half8(0, row + x);
    float found[8];
    for (int i = 0; i < 8; i++)
        found[i] = vload_half(mirror(x + i, width), row);
    return vload8(0, found);
}

__kernel void merge_planes(__global const half *roots, __global half *green, __global half *differences, int width,
                           int height, int cell_columns, int cell_rows, int red, float noise)
{
    int x = 8 * get_global_id(0), y = get_global_id(1);
    if (x >= 2 * cell_columns || y >= 2 * cell_rows)
        return;
    __global const half *here = roots + (size_t)mirror(y, height) * width;
    float8 c = eight(here, x, width);
    float8 left = eight(here, x - 1, width), right = eight(here, x + 1, width);
    float8 along = 2.0f * c - eight(here, x - 2, width) - eight(here, x + 2, width);
    float8 above = eight(roots + (size_t)mirror(y - 1, height) * width, x, width);
    float8 below = eight(roots + (size_t)mirror(y + 1, height) * width, x, width);
    float8 down = 2.0f * c - eight(roots + (size_t)mirror(y - 2, height) * width, x, width)
                - eight(roots + (size_t)mirror(y + 2, height) * width, x, width);
    float8 gradient_along = fabs(left - right) + fabs(along), gradient_down = fabs(above - below) + fabs(down);
    float8 p = gradient_down * gradient_down + FLAT * noise, q = gradient_along * gradient_along + FLAT * noise;
    float8 mixed = p * (0.5f * (left + right) + 0.25f * along) + q * (0.5f * (above + below) + 0.25f * down);
    float8 full = mixed / (p + q);
    bool red_row = (y & 1) == red >> 1;
    int column = red_row ? red & 1 : 1 - (red & 1); /* of the row's measured red or blue */
    float4 measured = column ? c.odd : c.even, made = column ? full.odd : full.even;
    float8 result = c;
    if (column)
        result.odd = made;
    else
        result.even = made;
    if (x + 8 <= width && y < height)
        vstore_half8(result, 0, green + (size_t)y * width + x);
    else if (y < height) {
        float row[8];
        vstore8(result, 0, row);
        for (int i = 0; i < 8 && x + i < width; i++)
            vstore_half(row[i], (size_t)y * width + x + i, green);
    }
    size_t at = ((size_t)(red_row ? 0 : cell_rows) + y / 2) * cell_columns + x / 2;
    float row[4];
    vstore4(measured - made, 0, row);
    for (int i = 0; i < 4 && x / 2 + i < cell_columns; i++)
        vstore_half(row[i], at + i, differences);
}
