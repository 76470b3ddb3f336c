/* Robust pairwise merge of one frame into the total, in the frequency domain (Hasinoff 2016, section 5).

   Every plane (position in the CFA period, see merge_light) is cut into half-overlapping tiles of 16 x 16. With
   D = reference - displaced frame, transformed by an orthonormal DCT-II, each coefficient is weighted:

       A = |D|^2 / (|D|^2 + T),   T = strength * V / excess^2,   V = scale * rms(reference) + offset

   where V is the variance of D due to noise. A = 0 takes the frame, A = 1 the reference:
   frame + A D = reference - T D / (|D|^2 + T). That correction is D for small D, at most sqrt(T) / 2, and
   vanishes as T / D for large D; D = 0 -> 0.

   excess = max(1, mean of |D|^2 over the lower half of the frequencies in x and y except the constant one
   / (MAX_LOW_RATIO * V)) rejects the whole tile. Moving objects differ there in many coefficients by a few
   sigma, which pass one by one but together show a ghost; a shift by a fraction of a pixel differs in the high
   frequencies, a flickering lamp in the constant one. Noise alone stays below MAX_LOW_RATIO: 63
   squares of a normal variable have mean 1 and standard deviation 0.18.

   The paper uses a DFT. The DCT is real, shrinks frequency by frequency as well, and has no jump from a tile's
   right edge to its left. Corrections are added with the raised cosine window
   w(x) = 1/2 - 1/2 cos(2 pi (x + 1/2) / 16), which sums to one over the overlapping tiles.

   The frame is displaced by Catmull-Rom interpolation in each plane (Keys 1981, a = -1/2): exact for whole
   periods. D = 0, so that only the reference counts, outside either picture and where either is clipped (light
   from `reference_clip` or `frame_clip` on); V is scaled by the valid part of the tile. A clipped reference pixel
   gets no correction at all: clipped stays clipped.

   A launch handles every other tile in x and y (`phase_x`, `phase_y`): its tiles do not touch, so four
   launches accumulate without atomics and always in one order. Phase 0, 0 also adds the reference.

   Execution: a work-item computes one tile. Rows are as in memory, planes interleaved (TILE_ELEMENTS), until D is
   computed; the DCT then runs on rows of 16 as one vector. */
#define SIDE 16
#define TILE_ELEMENTS (SIDE * CFA_COLUMNS)
#define TAPS 4
#define ROW_ELEMENTS (TILE_ELEMENTS + (TAPS - 1) * CFA_COLUMNS)
#ifdef GAMMA_ENCODED
#define DECODE(value) curve[convert_int(value)]
#else
#define DECODE(value) convert_float(value)
#endif
#define MAX_LOW_RATIO 1.3f /* of V: mean |D|^2 of the low frequencies up to which a tile is accepted */
#define LOW_COUNT 63.0f    /* 8 x 8 low frequencies without the constant one */
#define EPSILON 1e-20f     /* avoids 0 / 0 when there is no noise */

/* `basis` holds the DCT matrix (a frequency a row), its transpose and the raised cosine, one after the
   other. Each row of the tile, a vector, times a matrix: the transpose goes to frequencies, the matrix
   back. */
inline void rows_times(float16 *tile, __global const float *matrix)
{
    float16 b[SIDE];
    for (int n = 0; n < SIDE; n++)
        b[n] = vload16(n, matrix);
    for (int r = 0; r < SIDE; r++) {
        float row[SIDE];
        vstore16(tile[r], 0, row);
        float16 even = row[0] * b[0], odd = row[1] * b[1];
        for (int n = 2; n < SIDE; n += 2) {
            even = mad((float16)(row[n]), b[n], even);
            odd = mad((float16)(row[n + 1]), b[n + 1], odd);
        }
        tile[r] = even + odd;
    }
}

/* DCT of the columns. Even and odd frequencies are symmetric and antisymmetric about the tile's middle, which
   halves the sums. */
inline void columns_forward(float16 *tile, __global const float *basis)
{
    float16 sum[SIDE / 2], difference[SIDE / 2];
    for (int n = 0; n < SIDE / 2; n++) {
        sum[n] = tile[n] + tile[SIDE - 1 - n];
        difference[n] = tile[n] - tile[SIDE - 1 - n];
    }
    for (int k = 0; k < SIDE; k += 2) {
        float16 even = 0.0f, odd = 0.0f;
        for (int n = 0; n < SIDE / 2; n++) {
            even = mad((float16)(basis[k * SIDE + n]), sum[n], even);
            odd = mad((float16)(basis[(k + 1) * SIDE + n]), difference[n], odd);
        }
        tile[k] = even;
        tile[k + 1] = odd;
    }
}

inline void columns_inverse(float16 *tile, __global const float *basis)
{
    float16 even[SIDE / 2], odd[SIDE / 2];
    for (int n = 0; n < SIDE / 2; n++) {
        float16 e = 0.0f, o = 0.0f;
        for (int k = 0; k < SIDE; k += 2) {
            e = mad((float16)(basis[k * SIDE + n]), tile[k], e);
            o = mad((float16)(basis[(k + 1) * SIDE + n]), tile[k + 1], o);
        }
        even[n] = e;
        odd[n] = o;
    }
    for (int n = 0; n < SIDE / 2; n++) {
        tile[n] = even[n] + odd[n];
        tile[SIDE - 1 - n] = even[n] - odd[n];
    }
}

/* Replace D by the correction T D / (|D|^2 + T), in place. */
inline void shrink(float16 *tile, __global const float *basis, float strength, float variance)
{
    columns_forward(tile, basis);
    rows_times(tile, basis + SIDE * SIDE);
    float8 first_row = tile[0].lo;
    first_row.s0 = 0.0f; /* the constant frequency */
    float8 squares = first_row * first_row;
    for (int r = 1; r < SIDE / 2; r++)
        squares = mad(tile[r].lo, tile[r].lo, squares);
    float4 four = squares.lo + squares.hi;
    float low = (four.x + four.y) + (four.z + four.w);
    float excess = max(low / (LOW_COUNT * MAX_LOW_RATIO * variance), 1.0f);
    float threshold = max(strength * variance / (excess * excess), EPSILON);
    for (int r = 0; r < SIDE; r++)
        tile[r] *= threshold / mad(tile[r], tile[r], (float16)(threshold));
    rows_times(tile, basis);
    columns_inverse(tile, basis);
}

/* Catmull-Rom weights of the positions -1, 0, 1, 2 at t in 0..1: 0, 1, 0, 0 exactly at t = 0. */
inline float4 cubic(float t)
{
    return (float4)(t * (-0.5f + t * (1.0f - 0.5f * t)), 1.0f + t * t * (-2.5f + 1.5f * t),
                    t * (0.5f + t * (2.0f - 1.5f * t)), t * t * (-0.5f + 0.5f * t));
}

/* One row of ROW_ELEMENTS elements of the frame as light, from period `left` of row `y` of periods; edges
   repeated. */
inline void light_row(__global const VALUE *values, __global const float *curve, const float *black,
                      const float *gain, float *light, int width, int height, int left, int y, int parity)
{
    int row = clamp(y * CFA_ROWS + parity, parity, height - 1 - (height - 1 - parity) % CFA_ROWS);
    __global const VALUE *from = values + (size_t)row * width;
    if (left >= 0 && left * CFA_COLUMNS + ROW_ELEMENTS <= width) {
        from += left * CFA_COLUMNS;
        for (int i = 0; i < ROW_ELEMENTS; i++)
            light[i] = DECODE(from[i]);
    } else {
        for (int i = 0; i < ROW_ELEMENTS; i++) {
            int p = min(i % CFA_COLUMNS, width - 1), last = (width - 1 - p) / CFA_COLUMNS;
            light[i] = DECODE(from[clamp(left + i / CFA_COLUMNS, 0, last) * CFA_COLUMNS + p]);
        }
    }
    for (int i = 0; i < ROW_ELEMENTS; i++)
        light[i] = (light[i] - black[i]) * gain[i];
}

/* D of a tile's planes of one row parity, and per plane the sum of squares of the reference and the number
   of valid values. */
inline void differences(__global const float *reference, __global const VALUE *values,
                        __global const float *curve, int width, int height, int left, int top, int parity,
                        float2 displacement, float reference_clip, float frame_clip,
                        float16 tile[CFA_COLUMNS][SIDE], float *energy, float *valid_count)
{
    float2 whole = floor(displacement);
    int2 step = convert_int2_sat(whole);
    float4 wx = cubic(displacement.x - whole.x), wy = cubic(displacement.y - whole.y);
    float black[ROW_ELEMENTS], gain[ROW_ELEMENTS];
    for (int i = 0; i < ROW_ELEMENTS; i++) {
#ifdef GAMMA_ENCODED
        black[i] = 0.0f;
        gain[i] = 1.0f;
#else
        black[i] = curve[2 * (parity * CFA_COLUMNS + i % CFA_COLUMNS)];
        gain[i] = curve[2 * (parity * CFA_COLUMNS + i % CFA_COLUMNS) + 1];
#endif
    }
    float moved[SIDE + TAPS - 1][TILE_ELEMENTS];
    for (int r = 0; r < SIDE + TAPS - 1; r++) {
        float light[ROW_ELEMENTS];
        light_row(values, curve, black, gain, light, width, height, left + step.x - 1, top + step.y - 1 + r,
                  parity);
        for (int i = 0; i < TILE_ELEMENTS; i++)
            moved[r][i] = wx.x * light[i] + wx.y * light[i + CFA_COLUMNS] +
                          wx.z * light[i + 2 * CFA_COLUMNS] + wx.w * light[i + 3 * CFA_COLUMNS];
    }
    /* Elements first..last - 1 are inside the reference and, displaced, inside the frame. */
    int first = max(-left, max(0, -left - step.x)) * CFA_COLUMNS;
    int last = min(width, width - (step.x + (displacement.x > whole.x)) * CFA_COLUMNS) - left * CFA_COLUMNS;
    float inside[TILE_ELEMENTS], squares[TILE_ELEMENTS], counts[TILE_ELEMENTS];
    for (int i = 0; i < TILE_ELEMENTS; i++) {
        inside[i] = i >= first && i < last ? 1.0f : 0.0f;
        squares[i] = counts[i] = 0.0f;
    }
    for (int r = 0; r < SIDE; r++) {
        int y = (top + r) * CFA_ROWS + parity, there = y + CFA_ROWS * step.y;
        bool row_valid = min(y, there) >= 0 && y < height && there + (displacement.y > whole.y) * CFA_ROWS < height;
        float here[TILE_ELEMENTS], d[TILE_ELEMENTS];
        __global const float *from = reference + (size_t)clamp(y, 0, height - 1) * width;
        if (left >= 0 && left * CFA_COLUMNS + TILE_ELEMENTS <= width)
            for (int i = 0; i < TILE_ELEMENTS; i++)
                here[i] = from[left * CFA_COLUMNS + i];
        else
            for (int i = 0; i < TILE_ELEMENTS; i++)
                here[i] = from[clamp(left * CFA_COLUMNS + i, 0, width - 1)];
        float row = row_valid ? 1.0f : 0.0f;
        for (int i = 0; i < TILE_ELEMENTS; i++) {
            float frame = wy.x * moved[r][i] + wy.y * moved[r + 1][i] + wy.z * moved[r + 2][i] +
                          wy.w * moved[r + 3][i];
            float valid = here[i] < reference_clip && frame < frame_clip ? row * inside[i] : 0.0f;
            d[i] = valid * (here[i] - frame);
            squares[i] += valid * here[i] * here[i];
            counts[i] += valid;
        }
        for (int p = 0; p < CFA_COLUMNS; p++) {
            float plane[SIDE];
            for (int i = 0; i < SIDE; i++)
                plane[i] = d[i * CFA_COLUMNS + p];
            tile[p][r] = vload16(0, plane);
        }
    }
    for (int p = 0; p < CFA_COLUMNS; p++) {
        energy[p] = valid_count[p] = 0.0f;
        for (int i = 0; i < SIDE; i++) {
            energy[p] += squares[i * CFA_COLUMNS + p];
            valid_count[p] += counts[i * CFA_COLUMNS + p];
        }
    }
}

/* Planes interleaved as elements of one row. */
inline void join(const float16 *planes, float *row)
{
#if CFA_COLUMNS == 2
    float16 left, right;
    left.even = planes[0].lo;
    left.odd = planes[1].lo;
    right.even = planes[0].hi;
    right.odd = planes[1].hi;
    vstore16(left, 0, row);
    vstore16(right, 1, row);
#else
    for (int p = 0; p < CFA_COLUMNS; p++) {
        float plane[SIDE];
        vstore16(planes[p], 0, plane);
        for (int i = 0; i < SIDE; i++)
            row[i * CFA_COLUMNS + p] = plane[i];
    }
#endif
}

__kernel void merge_tiles(__global const float *reference, __global const VALUE *values,
                          __global const float *curve, __global const float2 *field_px,
                          __global const float *basis, __global float *total, int width, int height,
                          int field_columns, int field_rows, int columns, int rows, int phase_x, int phase_y,
                          float strength, float scale, float offset, float reference_clip, float frame_clip)
{
    int tx = 2 * get_global_id(0) + phase_x, ty = 2 * get_global_id(1) + phase_y;
    if (tx >= columns || ty >= rows)
        return;
    int fx = min((8 * tx * CFA_ROWS + 8) / 16, field_columns - 1);
    int fy = min((8 * ty * CFA_ROWS + 8) / 16, field_rows - 1);
    float2 displacement = field_px[(size_t)fy * field_columns + fx] / CFA_ROWS;
    int left = (tx - 1) * (SIDE / 2), top = (ty - 1) * (SIDE / 2); /* periods */
    float first_phase = phase_x == 0 && phase_y == 0 ? 1.0f : 0.0f;
    __global const float *window = basis + 2 * SIDE * SIDE;
    for (int parity = 0; parity < min(CFA_ROWS, height); parity++) {
        float16 tile[CFA_COLUMNS][SIDE];
        float energy[CFA_COLUMNS], valid_count[CFA_COLUMNS];
        differences(reference, values, curve, width, height, left, top, parity, displacement, reference_clip,
                    frame_clip, tile, energy, valid_count);
        for (int p = 0; p < CFA_COLUMNS; p++) {
            float rms = valid_count[p] > 0.0f ? sqrt(energy[p] / valid_count[p]) : 0.0f;
            float valid_part = valid_count[p] / (SIDE * SIDE);
            shrink(tile[p], basis, strength, max((scale * rms + offset) * valid_part, EPSILON));
        }
        for (int r = 0; r < SIDE; r++) {
            int y = (top + r) * CFA_ROWS + parity;
            if (y < 0 || y >= height)
                continue;
            float16 planes[CFA_COLUMNS];
            for (int p = 0; p < CFA_COLUMNS; p++)
                planes[p] = tile[p][r] * (vload16(0, window) * window[r]);
            float correction[TILE_ELEMENTS];
            join(planes, correction);
            int first = max(-left * CFA_COLUMNS, 0), last = min(width - left * CFA_COLUMNS, TILE_ELEMENTS);
            long at = (long)y * width + (long)left * CFA_COLUMNS;
            for (int i = first; i < last; i++) {
                float here = reference[at + i];
                float applied = here < reference_clip ? correction[i] : 0.0f;
                total[at + i] += first_phase * here - applied;
            }
        }
    }
}
