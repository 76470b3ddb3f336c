/* Green where red and blue were measured, corrected by how their differences from it vary. green is that of
   merge_planes, changed in place; with D its plane of differences and m and v the mean and the variance of the 3 x 3 cells
   around, weighted (1 2 1) x (1 2 1),

       green += v / (v + noise) * (D - m).

   What is red or blue minus green varies slowly, as both change alike at an edge (the idea of residual interpolation, Kiku
   et al. 2013, doi:10.1109/ICIP.2013.6738475): where D varies by more than the noise of a root, green is in error by
   D - m. Edges of the planes are repeated; what is not a number spreads. A work-item computes 4 cells of a row. */
inline float4 four(__global const half *row, int x, int width)
{
    if (x >= 0 && x + 4 <= width)
        return vload_half4(0, row + x);
    float found[4];
    for (int i = 0; i < 4; i++)
        found[i] = vload_half(clamp(x + i, 0, width - 1), row);
    return vload4(0, found);
}

__kernel void merge_green(__global half *green, __global const half *differences, int width, int height,
                          int cell_columns, int cell_rows, int red, float noise)
{
    int x = 4 * get_global_id(0), y = get_global_id(1);
    if (x >= cell_columns || y >= height)
        return;
    bool red_row = (y & 1) == red >> 1;
    int column = red_row ? red & 1 : 1 - (red & 1);
    __global const half *plane = differences + (red_row ? 0 : (size_t)cell_rows * cell_columns);
    float4 mean = 0.0f, squares = 0.0f, own = 0.0f;
    for (int j = -1; j <= 1; j++) {
        __global const half *row = plane + (size_t)clamp(y / 2 + j, 0, cell_rows - 1) * cell_columns;
        float4 left = four(row, x - 1, cell_columns), middle = four(row, x, cell_columns);
        float4 right = four(row, x + 1, cell_columns);
        float weight = j ? 0.25f : 0.5f;
        mean += weight * (0.5f * middle + 0.25f * (left + right));
        squares += weight * (0.5f * middle * middle + 0.25f * (left * left + right * right));
        own = j ? own : middle;
    }
    float4 spread = fmax(squares - mean * mean, 0.0f);
    float4 add = spread / (spread + noise) * (own - mean);
    size_t at = (size_t)y * width + 2 * x;
    if (2 * x + 8 <= width) {
        float8 row = vload_half8(0, green + at);
        if (column)
            row.odd += add;
        else
            row.even += add;
        vstore_half8(row, 0, green + at);
        return;
    }
    float four_added[4];
    vstore4(add, 0, four_added);
    for (int i = 0; i < 4 && 2 * (x + i) + column < width; i++) {
        size_t place = at + 2 * i + column;
        vstore_half(vload_half(place, green) + four_added[i], place, green);
    }
}
