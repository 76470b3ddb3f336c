/* Block matching, one level of a coarse-to-fine search (Hasinoff 2016, section 4). Blocks of `block` x `block`
   grey pixels are centred on the corners of a grid of 8 x 8; a block's cost for a displacement (u, v) is

       cost(u, v) = sum |reference(x, y) - other(x + u, y + v)|         (edges repeated, integers: exact)

   The global alignment at the block's centre is kept, including its fraction, where noise explains its cost:
   for a block of n = block^2 values, within NOISE_SIGMAS standard deviations,

       cost <= n sigma sqrt(2 / pi) (1 + NOISE_SIGMAS sqrt(pi / 2 - 1) / sqrt(n)),
       sigma^2 = noise_scale * mean(reference) + noise_offset

   Otherwise the candidates are the global alignment, the coarser level's displacements around the block
   (has_coarse 1; 0 at the coarsest level), and then every displacement within `radius` of the best of these. In
   flat areas the minimum is only noise, so a displacement must cost less than MAX_COST_RATIO of the global
   alignment. Cost 0 under the global alignment therefore always keeps it. At the finest level (`level` 0) the
   result is refined below a pixel by the two lines of equal slope through the neighbouring costs (-0.5 .. 0.5;
   0 when they are equal).

   Displacements are in full pixels, of which a grey pixel of level n has 2^(n+1). */
#define STRIDE 8
#define MAX_COST_RATIO 0.75f
#define NOISE_SIGMAS 3.0f

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

inline uint block_cost(__global const ushort *reference, __global const ushort *other, int width, int height,
                    int left, int top, int block, int2 displacement)
{
    int there_left = left + displacement.x, there_top = top + displacement.y;
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

/* The largest cost of a block that noise explains; sigma is that of the difference of two values. */
inline float noise_cost(__global const ushort *reference, int width, int height, int left, int top, int block,
                        float scale, float offset)
{
    uint sum = 0;
    bool inside = left >= 0 && left + block <= width && block % 8 == 0;
    for (int j = 0; j < block; j++) {
        __global const ushort *row = reference + (size_t)clamp(top + j, 0, height - 1) * width;
        for (int i = 0; inside && i < block; i += 8) {
            uint8 d = convert_uint8(vload8(0, row + left + i));
            uint4 e = d.lo + d.hi;
            sum += e.x + e.y + e.z + e.w;
        }
        for (int i = 0; !inside && i < block; i++)
            sum += row[clamp(left + i, 0, width - 1)];
    }
    float count = convert_float(block * block);
    float sigma = sqrt(scale * convert_float(sum) / count + offset);
    return count * sigma * 0.79788456f * (1.0f + NOISE_SIGMAS * 0.75551063f / block);
}

/* Subpixel minimum in -0.5 .. 0.5: where two lines of equal and opposite slope through three costs meet. */
inline float subpixel_offset(uint before, uint here, uint after)
{
    float slope = convert_float(max(before, after)) - convert_float(here);
    float asymmetry = convert_float(before) - convert_float(after);
    return slope > 0.0f ? clamp(0.5f * asymmetry / slope, -0.5f, 0.5f) : 0.0f;
}

__kernel void merge_match(__global const ushort *reference, __global const ushort *other,
                          __global const float2 *global_px, __global const float2 *coarse_px,
                          __global float2 *found_px, int width, int height, int global_columns, int global_rows,
                          int coarse_columns, int coarse_rows, int columns, int rows, int level, int has_coarse,
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
    uint start_cost = block_cost(reference, other, width, height, left, top, block, start);
    size_t at = (size_t)by * columns + bx;
    float noise_limit = noise_cost(reference, width, height, left, top, block, noise_scale, noise_offset);
    if (convert_float(start_cost) <= noise_limit) {
        found_px[at] = global_move;
        return;
    }
    int2 best = start;
    uint best_cost = start_cost;
    for (int n = 0; n < 4 * has_coarse; n++) { /* the up to four coarser blocks around this one */
        int cx = min(bx / 2 + (n % 2) * (bx % 2), coarse_columns - 1);
        int cy = min(by / 2 + (n / 2) * (by % 2), coarse_rows - 1);
        int2 displacement = convert_int2_sat_rte(coarse_px[(size_t)cy * coarse_columns + cx] / scale);
        if (all(displacement == best))
            continue;
        uint cost = block_cost(reference, other, width, height, left, top, block, displacement);
        best = cost < best_cost ? displacement : best;
        best_cost = min(cost, best_cost);
    }
    int2 centre = best;
    for (int v = -radius; v <= radius; v++)
        for (int u = -radius; u <= radius; u++) {
            int2 displacement = centre + (int2)(u, v);
            uint cost = block_cost(reference, other, width, height, left, top, block, displacement);
            best = cost < best_cost ? displacement : best;
            best_cost = min(cost, best_cost);
        }
    float2 result = global_move;
    if (convert_float(best_cost) < MAX_COST_RATIO * convert_float(start_cost)) {
        result = convert_float2(best);
        if (level == 0) {
            uint west = block_cost(reference, other, width, height, left, top, block, best - (int2)(1, 0));
            uint east = block_cost(reference, other, width, height, left, top, block, best + (int2)(1, 0));
            uint north = block_cost(reference, other, width, height, left, top, block, best - (int2)(0, 1));
            uint south = block_cost(reference, other, width, height, left, top, block, best + (int2)(0, 1));
            result += (float2)(subpixel_offset(west, best_cost, east), subpixel_offset(north, best_cost, south));
        }
        result *= scale;
    }
    found_px[at] = result;
}
