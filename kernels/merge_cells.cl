/* What the reference is compared by, of each block of 8 x 8 pixels: the light of its 4 x 4 cells of 2 x 2 pixels,
   cells[c][i] of channel c and cell i, row by row, and, of the block's valid cells, eight numbers:

       the mean light of red, green and blue; the part of valid cells;
       the mean squared difference of neighbouring cells of red, green and blue; that of green inside cells,
       the mean over a cell of (pixel - cell)^2.

   A cell is valid where all its light is a number. Differences are of valid cells side by side or one below the other
   in the block; 0 where there are none. */
#define CELLS 16

__kernel void merge_cells(__global const half *pulled, __global half *cells, __global float *blocks,
                          int block_columns, int block_rows)
{
    int bx = get_global_id(0), by = get_global_id(1);
    if (bx >= block_columns || by >= block_rows)
        return;
    size_t at = (size_t)by * block_columns + bx;
    float cell[3][CELLS], fine[CELLS];
    for (int c = 0; c < 3; c++)
        for (int j = 0; j < 4; j++) {
            size_t row = ((size_t)c * block_rows + by) * 8 + 2 * j;
            __global const half *from = pulled + (row * block_columns + bx) * 8;
            float8 above = vload_half8(0, from), below = vload_half8(0, from + 8 * block_columns);
            float4 mean = 0.25f * (above.even + above.odd + below.even + below.odd);
            vstore4(mean, j, cell[c]);
            vstore_half4(mean, 0, cells + (at * 3 + c) * CELLS + 4 * j);
            float4 square = above.even * above.even + above.odd * above.odd + below.even * below.even
                          + below.odd * below.odd;
            if (c == 1)
                vstore4(0.25f * square - mean * mean, j, fine);
        }
    float mean[3] = {0.0f, 0.0f, 0.0f}, slope[3] = {0.0f, 0.0f, 0.0f}, inner = 0.0f, count = 0.0f, pairs = 0.0f;
    for (int i = 0; i < CELLS; i++) {
        if (!isfinite(cell[0][i] + cell[1][i] + cell[2][i]))
            continue;
        count += 1.0f;
        inner += fine[i];
        for (int c = 0; c < 3; c++)
            mean[c] += cell[c][i];
        for (int n = 0; n < 2; n++) {
            int other = n ? i + 4 : i + 1;
            if ((n ? i >= 12 : i % 4 == 3) || !isfinite(cell[0][other] + cell[1][other] + cell[2][other]))
                continue;
            pairs += 1.0f;
            for (int c = 0; c < 3; c++)
                slope[c] += (cell[c][other] - cell[c][i]) * (cell[c][other] - cell[c][i]);
        }
    }
    for (int c = 0; c < 3; c++) {
        blocks[at * 8 + c] = mean[c] / fmax(count, 1.0f);
        blocks[at * 8 + 4 + c] = slope[c] / fmax(pairs, 1.0f);
    }
    blocks[at * 8 + 3] = count / CELLS;
    blocks[at * 8 + 7] = inner / fmax(count, 1.0f);
}
