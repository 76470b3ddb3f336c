/* Displacements refined to a small part of a pixel: Lucas-Kanade (1981) for a translation of each block of 16 x 16 grey
   pixels of the finest level of merge_match, by Gauss-Newton steps with the reference's gradients g (Baker and
   Matthews 2004, doi:10.1023/B:VISI.0000011205.11775.fd, the inverse compositional algorithm):

       d <- d - (sum g g' + noise / PRIOR^2 I)^-1 (sum g (other(x + d) - reference(x)) + noise / PRIOR^2 (d - d0)),

   noise being the variance of reference minus other. PRIOR is the standard deviation, in grey pixels, of the error of
   the displacement d0 that is refined, so that an even block keeps it. A block that would leave it by more than
   FARTHEST in x or y keeps it, too. other is interpolated by Catmull-Rom (Keys 1981, a = -1/2), edges repeated.
   g is half the difference of the pixels on both sides. Displacements are in full pixels, two to a grey pixel.
   information is sum g g' / max(noise, mean (other - reference)^2), as its xx, xy and yy, per full pixel squared: the
   inverse of the variance of what is found; the fourth number is 0. Texture that is too fine for the grey pixels
   differs by more than noise, and errs more. The difference is that of the last step. */
#define SIDE 16
#define STRIDE 8
#define STEPS 3
#define PRIOR 0.25f
#define FARTHEST 1.0f

inline float16 sixteen(__global const ushort *row, int x, int width)
{
    if (x >= 0 && x + SIDE <= width)
        return convert_float16(vload16(0, row + x));
    float found[SIDE];
    for (int i = 0; i < SIDE; i++)
        found[i] = convert_float(row[clamp(x + i, 0, width - 1)]);
    return vload16(0, found);
}

inline float4 cubic(float t)
{
    return (float4)(t * (-0.5f + t * (1.0f - 0.5f * t)), 1.0f + t * t * (-2.5f + 1.5f * t),
                    t * (0.5f + t * (2.0f - 1.5f * t)), t * t * (-0.5f + 0.5f * t));
}

inline float sum_of(float16 v)
{
    float8 a = v.lo + v.hi;
    float4 b = a.lo + a.hi;
    return (b.x + b.y) + (b.z + b.w);
}

__kernel void merge_refine(__global const ushort *reference, __global const ushort *other,
                           __global const float2 *start_px, __global float2 *found_px, __global float4 *information,
                           int width, int height, int columns, int rows, float noise_scale, float noise_offset)
{
    int bx = get_global_id(0), by = get_global_id(1);
    if (bx >= columns || by >= rows)
        return;
    size_t at = (size_t)by * columns + bx;
    int left = bx * STRIDE - SIDE / 2, top = by * STRIDE - SIDE / 2;
    float16 here[SIDE], slope_x[SIDE], slope_y[SIDE];
    float16 level = 0.0f, xx = 0.0f, xy = 0.0f, yy = 0.0f;
    for (int j = 0; j < SIDE; j++) {
        __global const ushort *row = reference + (size_t)clamp(top + j, 0, height - 1) * width;
        __global const ushort *above = reference + (size_t)clamp(top + j - 1, 0, height - 1) * width;
        __global const ushort *below = reference + (size_t)clamp(top + j + 1, 0, height - 1) * width;
        here[j] = sixteen(row, left, width);
        slope_x[j] = 0.5f * (sixteen(row, left + 1, width) - sixteen(row, left - 1, width));
        slope_y[j] = 0.5f * (sixteen(below, left, width) - sixteen(above, left, width));
        level += here[j];
        xx += slope_x[j] * slope_x[j];
        xy += slope_x[j] * slope_y[j];
        yy += slope_y[j] * slope_y[j];
    }
    float noise = noise_scale * sum_of(level) / (SIDE * SIDE) + noise_offset, ridge = noise / (PRIOR * PRIOR);
    float a = sum_of(xx) + ridge, b = sum_of(xy), d = sum_of(yy) + ridge, determinant = a * d - b * b;
    float2 start = 0.5f * start_px[at], move = start;
    float left_over = 0.0f;
    for (int step = 0; step < STEPS && determinant > 0.0f; step++) {
        float2 whole = floor(move);
        float4 across = cubic(move.x - whole.x), down = cubic(move.y - whole.y);
        int from_x = left + convert_int_sat(whole.x) - 1, from_y = top + convert_int_sat(whole.y) - 1;
        float16 lines[SIDE + 3], error_x = 0.0f, error_y = 0.0f, squares = 0.0f;
        for (int j = 0; j < SIDE + 3; j++) {
            __global const ushort *row = other + (size_t)clamp(from_y + j, 0, height - 1) * width;
            lines[j] = across.x * sixteen(row, from_x, width) + across.y * sixteen(row, from_x + 1, width)
                     + across.z * sixteen(row, from_x + 2, width) + across.w * sixteen(row, from_x + 3, width);
        }
        for (int j = 0; j < SIDE; j++) {
            float16 there = down.x * lines[j] + down.y * lines[j + 1] + down.z * lines[j + 2] + down.w * lines[j + 3];
            there -= here[j];
            error_x += slope_x[j] * there;
            error_y += slope_y[j] * there;
            squares += there * there;
        }
        left_over = sum_of(squares) / (SIDE * SIDE);
        float2 error = (float2)(sum_of(error_x), sum_of(error_y)) + ridge * (move - start);
        move -= (float2)(d * error.x - b * error.y, a * error.y - b * error.x) / determinant;
        float2 far = fabs(move - start);
        if (!(fmax(far.x, far.y) <= FARTHEST)) {
            move = start;
            break;
        }
    }
    found_px[at] = 2.0f * move;
    information[at] = 0.25f * (float4)(a - ridge, b, d - ridge, 0.0f) / fmax(noise, left_over);
}
