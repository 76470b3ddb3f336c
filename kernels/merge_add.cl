/* Add a displaced frame to the sums, with the weights of blocks of 8 x 8 pixels, bilinear between their centres, one
   weight for each 2 x 2 cell; 0 for a cell of which any light, of the frame or of the reference (cells of merge_cells),
   is not a number.

   moves is the displacement of a block. One of a colour filter array that is displaced by a whole number of cells, to ALIGNED_PX, adds the frame's own
   samples to samples H W; any other adds its displaced light to total, three planes. counts has three planes of
   cells: the sums of the weights of samples, of those of displaced light, and of all their
   squares times variance, that of the frame over the reference's.

   A work-item computes one block. */
#define ALIGNED_PX 0.06f

/* The weights of a block's 4 x 4 cells, a row of four each. */
inline void cell_weights(__global const float *weights, int columns, int rows, int bx, int by, float4 *cells)
{
    float around[3][3];
    for (int j = 0; j < 3; j++)
        for (int i = 0; i < 3; i++)
            around[j][i] = weights[(size_t)clamp(by + j - 1, 0, rows - 1) * columns + clamp(bx + i - 1, 0, columns - 1)];
    float4 part = (float4)(0.375f, 0.125f, 0.125f, 0.375f);
    float4 across[3];
    for (int j = 0; j < 3; j++) {
        float4 beside = (float4)(around[j][0], around[j][0], around[j][2], around[j][2]);
        across[j] = around[j][1] + part * (beside - around[j][1]);
    }
    cells[0] = across[1] + 0.375f * (across[0] - across[1]);
    cells[1] = across[1] + 0.125f * (across[0] - across[1]);
    cells[2] = across[1] + 0.125f * (across[2] - across[1]);
    cells[3] = across[1] + 0.375f * (across[2] - across[1]);
}

inline float8 finite_or_0(float8 light)
{
    return select((float8)(0.0f), light, isfinite(light));
}

__kernel void merge_add(__global const half *pulled, __global const VALUE *values, __global const float *curve,
                        __global const half *cells, __global const float2 *moves, __global const float *weights,
                        __global float *total,
                        __global float *samples, __global float *counts, int width, int height, int block_columns,
                        int block_rows, float variance)
{
    int bx = get_global_id(0), by = get_global_id(1);
    if (bx >= block_columns || by >= block_rows)
        return;
    float4 weight_of[4];
    cell_weights(weights, block_columns, block_rows, bx, by, weight_of);
    if (!any(weight_of[0] + weight_of[1] + weight_of[2] + weight_of[3] > 0.0f))
        return;
    bool aligned = false;
#ifndef PICTURE
    float2 move = moves[(size_t)by * block_columns + bx];
    float2 whole = 2.0f * rint(0.5f * move), off = fabs(move - whole);
    aligned = fmax(off.x, off.y) < ALIGNED_PX;
#endif
    size_t plane_of_cells = (size_t)16 * block_columns * block_rows;
    for (int j = 0; j < 4; j++) {
        size_t at[3];
        float8 above[3], below[3], all = 0.0f;
        for (int c = 0; c < 3; c++) {
            at[c] = (((size_t)c * block_rows + by) * 8 + 2 * j) * 8 * block_columns + 8 * bx;
            above[c] = vload_half8(0, pulled + at[c]);
            below[c] = vload_half8(0, pulled + at[c] + 8 * block_columns);
            all += above[c] + below[c];
        }
        __global const half *here = cells + ((size_t)by * block_columns + bx) * 48 + 4 * j;
        float4 reference = vload_half4(0, here) + vload_half4(0, here + 16) + vload_half4(0, here + 32);
        float4 weight = select((float4)(0.0f), weight_of[j], isfinite(all.even + all.odd + reference));
        float8 both;
        both.even = weight;
        both.odd = weight;
        size_t cell = ((size_t)by * 4 + j) * 4 * block_columns + 4 * bx;
        __global float *count = counts + cell + (aligned ? 0 : plane_of_cells);
        vstore4(vload4(0, count) + weight, 0, count);
        count = counts + cell + 2 * plane_of_cells;
        vstore4(vload4(0, count) + variance * weight * weight, 0, count);
        if (!aligned) {
            for (int c = 0; c < 3; c++) {
                __global float *to = total + at[c];
                vstore8(vload8(0, to) + both * finite_or_0(above[c]), 0, to);
                to += 8 * block_columns;
                vstore8(vload8(0, to) + both * finite_or_0(below[c]), 0, to);
            }
            continue;
        }
#ifndef PICTURE
        float row[8];
        vstore8(both, 0, row);
        int2 step = convert_int2_sat(whole);
        for (int k = 0; k < 2; k++) {
            int y = 8 * by + 2 * j + k;
            for (int i = 0; i < 8; i++) {
                int x = 8 * bx + i;
                if (row[i] <= 0.0f || x >= width || y >= height)
                    continue;
                VALUE value = values[(size_t)(y + step.y) * width + x + step.x];
                samples[(size_t)y * width + x] += row[i] * light_of(value, curve, 2 * (y & 1) + (x & 1));
            }
        }
#endif
    }
}
