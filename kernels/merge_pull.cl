/* A frame displaced to the reference's pixels: linear light, three planes of half floats in whole blocks of 8 x 8.

   A block is displaced as a whole, by moves (x, y) in pixels. Full-resolution planes (green of a colour filter array; the
   three of a picture) are interpolated by six taps of

       w(t) = sinc(t) sinc(t / 3), divided by their sum   (Lanczos; Turkowski 1990, "Filters for common resampling tasks"),

   differences of colours, of which there is one for each 2 x 2 cell where its colour was measured, by four taps of

       (1 - s) cubic(t) + s (1 + cos(pi t / 2)) / 4,   s = r / (r + NOISY),   r = noise / (mean green of the block)^2,

   cubic(t) being that of Mitchell and Netravali 1988 (doi:10.1145/378456.378514) with B = 0.2, C = 0.4: sharp where
   there is little noise, smooth where noise hides the finest colours. noise is the variance of a root.
   Both are on the curve of merge_root, which is inverted at the end: sign(c) * ((|c| + sqrt(KNEE))^2 - KNEE).
   Edges are repeated. What comes from outside the frame, or from a clipped sample, is not a number. Blocks reach
   beyond the reference's right and lower edge: there a pixel takes part where the edge's does.

   A work-item computes one block. */
#define TAPS 6
#define NOISY 2.5e-4f
#define B 0.2f
#define C 0.4f
#define CUBIC(a, b, c, d) ((((a) * x + (b)) * x + (c)) * x + (d)) / 6.0f

/* The six taps at fraction 0..1 from the third; 0 0 1 0 0 0 exactly at 0. sin(pi (t - 1)) = -sin(pi t), and
   sin(pi (t - 3) / 3) = -sin(pi t / 3), so that four sines give all of them. */
inline void lanczos(float fraction, float *taps)
{
    float wide = 3.0f / (M_PI_F * M_PI_F) * sinpi(fraction), sum = 0.0f;
    float narrow[3] = {sinpi((fraction + 2.0f) / 3.0f), -sinpi((fraction + 1.0f) / 3.0f), sinpi(fraction / 3.0f)};
    for (int k = 0; k < TAPS; k++) {
        float t = fraction - (k - 2);
        taps[k] = t == 0.0f ? 1.0f : wide * narrow[k % 3] / (t * t);
        sum += taps[k];
    }
    for (int k = 0; k < TAPS; k++)
        taps[k] /= sum;
}

inline float8 eight(__global const half *row, int x, int width)
{
    if (x >= 0 && x + 8 <= width)
        return vload_half8(0, row + x);
    float found[8];
    for (int i = 0; i < 8; i++)
        found[i] = vload_half(clamp(x + i, 0, width - 1), row);
    return vload8(0, found);
}

/* 8 x 8 pixels of a plane at (x, y) + displacement. Loading a tap's pixels anew costs less than reading vectors back
   from where others were stored. */
inline void full_block(__global const half *plane, int width, int height, int x, int y, float2 move, float8 *block)
{
    float2 whole = floor(move);
    int left = x + convert_int_sat(whole.x) - 2, top = y + convert_int_sat(whole.y) - 2;
    float across[TAPS], down[TAPS];
    lanczos(move.x - whole.x, across);
    lanczos(move.y - whole.y, down);
    float8 rows[8 + TAPS - 1];
    for (int j = 0; j < 8 + TAPS - 1; j++) {
        __global const half *row = plane + (size_t)clamp(top + j, 0, height - 1) * width;
        float8 sum = 0.0f;
        for (int k = 0; k < TAPS; k++)
            sum += across[k] * eight(row, left + k, width);
        rows[j] = sum;
    }
    for (int j = 0; j < 8; j++) {
        float8 sum = 0.0f;
        for (int k = 0; k < TAPS; k++)
            sum += down[k] * rows[j + k];
        block[j] = sum;
    }
}

/* The four taps at t in 0..1 from the second; cos(pi (t + 1) / 2) = -sin(pi t / 2). */
inline void cell_taps(float t, float smooth, float *taps)
{
    float c = cospi(0.5f * t), s = sinpi(0.5f * t);
    float wide[4] = {1.0f - s, 1.0f + c, 1.0f + s, 1.0f - c};
    for (int k = 0; k < 4; k++) {
        float x = fabs(t - (k - 1));
        float near = CUBIC(12 - 9 * B - 6 * C, -18 + 12 * B + 6 * C, 0, 6 - 2 * B);
        float far = CUBIC(-B - 6 * C, 6 * B + 30 * C, -12 * B - 48 * C, 8 * B + 24 * C);
        taps[k] = (1.0f - smooth) * (k == 1 || k == 2 ? near : far) + smooth * 0.25f * wide[k];
    }
}

/* 8 x 8 pixels of a plane of differences; (x, y) is the first pixel's place among its cells. */
inline void cell_block(__global const half *plane, int columns, int rows, float x, float y, float smooth, float8 *block)
{
    int even = convert_int_sat(floor(x)) - 1, odd = convert_int_sat(floor(x + 0.5f)) - 1;
    int top = convert_int_sat(floor(y)) - 1;
    float across[2][4], down[2][4]; /* of pixels at even and at odd distances from the first */
    cell_taps(x - 1 - even, smooth, across[0]);
    cell_taps(x - 0.5f - odd, smooth, across[1]);
    float part = y - 1 - top;
    cell_taps(part, smooth, down[0]);
    cell_taps(part < 0.5f ? part + 0.5f : part - 0.5f, smooth, down[1]);
    float8 found[8];
    for (int j = 0; j < 8; j++) {
        __global const half *row = plane + (size_t)clamp(top + j, 0, rows - 1) * columns;
        float8 seen = eight(row, even, columns), later = odd > even ? seen.s12345677 : seen;
        float4 at_even = across[0][0] * seen.s0123 + across[0][1] * seen.s1234 + across[0][2] * seen.s2345
                       + across[0][3] * seen.s3456;
        float4 at_odd = across[1][0] * later.s0123 + across[1][1] * later.s1234 + across[1][2] * later.s2345
                      + across[1][3] * later.s3456;
        found[j].even = at_even;
        found[j].odd = at_odd;
    }
    for (int j = 0; j < 8; j++) {
        int first = j / 2 + (j & 1 && part >= 0.5f);
        float8 sum = 0.0f;
        for (int k = 0; k < 4; k++)
            sum += down[j & 1][k] * found[first + k];
        block[j] = sum;
    }
}

__kernel void merge_pull(__global const half *planes, __global const half *differences,
                         __global const float2 *moves, __global half *pulled, int width, int height, int cell_columns,
                         int cell_rows, int block_columns, int block_rows, int red, float noise)
{
    int bx = get_global_id(0), by = get_global_id(1);
    if (bx >= block_columns || by >= block_rows)
        return;
    float2 move = moves[(size_t)by * block_columns + bx];
    int x = 8 * bx, y = 8 * by;
    float inside[8];
    for (int i = 0; i < 8; i++) {
        float there = min(x + i, width - 1) + move.x;
        inside[i] = there >= 0.0f && there <= width - 1 ? 0.0f : NAN;
    }
    float8 columns_inside = vload8(0, inside);
    float8 block[3][8];
#ifdef PICTURE
    for (int c = 0; c < 3; c++)
        full_block(planes + (size_t)c * width * height, width, height, x, y, move, block[c]);
#else
    full_block(planes, width, height, x, y, move, block[1]);
    float8 level = 0.0f;
    for (int j = 0; j < 8; j++)
        level += block[1][j];
    float mean = (level.s0 + level.s1 + level.s2 + level.s3 + level.s4 + level.s5 + level.s6 + level.s7) / 64.0f;
    float ratio = noise / fmax(mean * mean, 1e-9f), smooth = ratio / (ratio + NOISY);
    for (int c = 0; c < 3; c += 2) { /* red where red is, blue in the opposite corner of the cell */
        int corner = c ? red ^ 3 : red;
        cell_block(differences + (size_t)(c / 2) * cell_columns * cell_rows, cell_columns, cell_rows,
                   0.5f * (x + move.x - (corner & 1)), 0.5f * (y + move.y - (corner >> 1)), smooth, block[c]);
        for (int j = 0; j < 8; j++)
            block[c][j] += block[1][j];
    }
#endif
    for (int j = 0; j < 8; j++) {
        float there = min(y + j, height - 1) + move.y;
        float row_inside = there >= 0.0f && there <= height - 1 ? 0.0f : NAN;
        for (int c = 0; c < 3; c++) {
            size_t row = (size_t)c * 8 * block_rows + y + j;
            vstore_half8(FROM_ROOT(block[c][j]) + columns_inside + row_inside, 0, pulled + row * 8 * block_columns + x);
        }
    }
}
