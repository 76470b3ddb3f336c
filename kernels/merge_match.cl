/* Block matching, one level of a coarse-to-fine search (Hasinoff 2016, section 4). Blocks of `block` x
   `block` grey pixels are centred on the corners of a grid of 8 x 8; a block's cost for a displacement
   (u, v) is

       cost(u, v) = sum |reference(x, y) - other(x + u, y + v)|         (edges repeated, integers: exact)

   The global alignment at the block's centre is kept, fractions and all, where its cost is what noise alone
   makes of a block of n = block^2 values, within CHANCE standard deviations:

       cost <= n sigma sqrt(2 / pi) (1 + CHANCE sqrt(pi / 2 - 1) / sqrt(n)),
       sigma^2 = noise_scale * mean(reference) + noise_offset

   Else the candidates are the global alignment, what the coarser level found around the block (`fields` 1; 0
   at the coarsest level), and then every displacement within `radius` of the best of these. In flat parts
   the least cost is only noise that happens to agree, so a displacement must cost less than LOYALTY of the
   global alignment. Cost 0 under the global alignment therefore always keeps it. At the finest level
   (`level` 0) what replaces it is refined below a pixel by the two lines of equal slope through the costs
   beside it (-0.5 .. 0.5; 0 when the costs beside are equal).

   Displacements are in full pixels, of which a grey pixel of level n has 2^(n+1). */
#define STRIDE 8
#define LOYALTY 0.75f
#define CHANCE 3.0f

inline uint row_cost8(__global const ushort *a, __global const ushort *b)
{
    uint8 d = convert_uint8(abs_diff(vload8(0, a), vload8(0, b)));
    uint4 e = d.lo + d.hi;
    return e.x + e.y + e.z + e.w;
}

inline uint row_cost16(__global const ushort *a, __global const ushort *b)
{
    uint16 d = convert_uint16(abs_diff(vload16(0, a), vload16(0, b)));
    uint8 e = d.lo + d.hi;
    uint4 f = e.lo + e.hi;
    return f.x + f.y + f.z + f.w;
}

inline uint cost_of(__global const ushort *reference, __global const ushort *other, int width, int height,
                    int left, int top, int block, int2 move)
{
    int there_left = left + move.x, there_top = top + move.y;
    bool inside = min(left, there_left) >= 0 && max(left, there_left) + block <= width &&
                  min(top, there_top) >= 0 && max(top, there_top) + block <= height;
    uint cost = 0;
    for (int j = 0; j < block; j++) {
        size_t row = (size_t)clamp(top + j, 0, height - 1) * width;
        size_t there_row = (size_t)clamp(there_top + j, 0, height - 1) * width;
        __global const ushort *a = reference + row, *b = other + there_row;
        if (inside && block == 8)
            cost += row_cost8(a + left, b + there_left);
        else if (inside && block == 16)
            cost += row_cost16(a + left, b + there_left);
        else
            for (int i = 0; i < block; i++)
                cost += abs_diff(a[clamp(left + i, 0, width - 1)], b[clamp(there_left + i, 0, width - 1)]);
    }
    return cost;
}

/* What noise alone may make of a block's cost; sigma belongs to the difference of two values. */
inline float noise_cost(__global const ushort *reference, int width, int height, int left, int top, int block,
                        float scale, float offset)
{
    uint sum = 0;
    for (int j = 0; j < block; j++)
        for (int i = 0; i < block; i++)
            sum += reference[(size_t)clamp(top + j, 0, height - 1) * width + clamp(left + i, 0, width - 1)];
    float count = convert_float(block * block);
    float sigma = sqrt(scale * convert_float(sum) / count + offset);
    return count * sigma * 0.79788456f * (1.0f + CHANCE * 0.75551063f / block);
}

/* Where, between -0.5 and 0.5, two lines of equal and opposite slope through three costs meet. */
inline float vertex(uint before, uint here, uint after)
{
    float rise = convert_float(max(before, after)) - convert_float(here);
    float tilt = convert_float(before) - convert_float(after);
    return rise > 0.0f ? clamp(0.5f * tilt / rise, -0.5f, 0.5f) : 0.0f;
}

__kernel void merge_match(__global const ushort *reference, __global const ushort *other,
                          __global const float2 *global_px, __global const float2 *coarse_px,
                          __global float2 *found_px, int width, int height, int global_columns, int global_rows,
                          int coarse_columns, int coarse_rows, int columns, int rows, int level, int fields,
                          int radius, int block, float noise_scale, float noise_offset)
{
    int bx = get_global_id(0), by = get_global_id(1);
    if (bx >= columns || by >= rows)
        return;
    int left = bx * STRIDE - block / 2, top = by * STRIDE - block / 2;
    float scale = convert_float(2 << level);
    int gx = min(bx << level, global_columns - 1), gy = min(by << level, global_rows - 1);
    float2 global_move = global_px[(size_t)gy * global_columns + gx];
    int2 start = convert_int2_sat_rte(global_move / scale);
    uint start_cost = cost_of(reference, other, width, height, left, top, block, start);
    size_t at = (size_t)by * columns + bx;
    float usual = noise_cost(reference, width, height, left, top, block, noise_scale, noise_offset);
    if (convert_float(start_cost) <= usual) {
        found_px[at] = global_move;
        return;
    }
    int2 best = start;
    uint best_cost = start_cost;
    for (int n = 0; n < 4 * fields; n++) { /* the up to four coarser blocks around this one */
        int cx = min(bx / 2 + (n % 2) * (bx % 2), coarse_columns - 1);
        int cy = min(by / 2 + (n / 2) * (by % 2), coarse_rows - 1);
        int2 move = convert_int2_sat_rte(coarse_px[(size_t)cy * coarse_columns + cx] / scale);
        if (all(move == best))
            continue;
        uint cost = cost_of(reference, other, width, height, left, top, block, move);
        best = cost < best_cost ? move : best;
        best_cost = min(cost, best_cost);
    }
    int2 middle = best;
    for (int v = -radius; v <= radius; v++)
        for (int u = -radius; u <= radius; u++) {
            int2 move = middle + (int2)(u, v);
            uint cost = cost_of(reference, other, width, height, left, top, block, move);
            best = cost < best_cost ? move : best;
            best_cost = min(cost, best_cost);
        }
    float2 result = global_move;
    if (convert_float(best_cost) < LOYALTY * convert_float(start_cost)) {
        result = convert_float2(best);
        if (level == 0) {
            uint west = cost_of(reference, other, width, height, left, top, block, best - (int2)(1, 0));
            uint east = cost_of(reference, other, width, height, left, top, block, best + (int2)(1, 0));
            uint north = cost_of(reference, other, width, height, left, top, block, best - (int2)(0, 1));
            uint south = cost_of(reference, other, width, height, left, top, block, best + (int2)(0, 1));
            result += (float2)(vertex(west, best_cost, east), vertex(north, best_cost, south));
        }
        result *= scale;
    }
    found_px[at] = result;
}
