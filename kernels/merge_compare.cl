/* How a displaced frame differs from the reference, of each block of 8 x 8 pixels, eight numbers: the sums over its
   valid cells (merge_cells) of the squared difference of red, green and blue; how many are valid in both;
   the sums of the difference of red, green and blue; the largest squared sum of a channel's difference over 2 x 2 cells
   in a corner of the block, divided by 4. */
#define CELLS 16

__kernel void merge_compare(__global const half *pulled, __global const half *cells, __global float *blocks,
                            int block_columns, int block_rows)
{
    int bx = get_global_id(0), by = get_global_id(1);
    if (bx >= block_columns || by >= block_rows)
        return;
    size_t at = (size_t)by * block_columns + bx;
    float4 difference[3][4], valid[4];
    for (int j = 0; j < 4; j++) {
        float4 all = 0.0f;
        for (int c = 0; c < 3; c++) {
            size_t row = ((size_t)c * block_rows + by) * 8 + 2 * j;
            __global const half *from = pulled + (row * block_columns + bx) * 8;
            float8 above = vload_half8(0, from), below = vload_half8(0, from + 8 * block_columns);
            float4 mean = 0.25f * (above.even + above.odd + below.even + below.odd);
            difference[c][j] = mean - vload_half4(0, cells + (at * 3 + c) * CELLS + 4 * j);
            all += difference[c][j];
        }
        valid[j] = select((float4)(0.0f), (float4)(1.0f), isfinite(all));
    }
    float largest = 0.0f;
    for (int c = 0; c < 3; c++) {
        float4 sum = 0.0f, square = 0.0f;
        for (int j = 0; j < 4; j++) {
            float4 d = select((float4)(0.0f), difference[c][j], isfinite(difference[c][j]) & (valid[j] > 0.0f));
            difference[c][j] = d;
            sum += d;
            square += d * d;
        }
        float4 upper = difference[c][0] + difference[c][1], lower = difference[c][2] + difference[c][3];
        float4 corners = (float4)(upper.x + upper.y, upper.z + upper.w, lower.x + lower.y, lower.z + lower.w);
        corners *= 0.25f * corners;
        largest = fmax(largest, fmax(fmax(corners.x, corners.y), fmax(corners.z, corners.w)));
        blocks[at * 8 + c] = square.x + square.y + square.z + square.w;
        blocks[at * 8 + 4 + c] = sum.x + sum.y + sum.z + sum.w;
    }
    float4 count = valid[0] + valid[1] + valid[2] + valid[3];
    blocks[at * 8 + 3] = count.x + count.y + count.z + count.w;
    blocks[at * 8 + 7] = largest;
}
