/* The photograph: result = S keep + (R + slope S) (1 - keep), four full pixels of one half pixel per work-item.

   S is the sharp exposure, R the residual of the blur on the half grid (composite_residual), slope that of the
   detail on the low grid. R is enlarged by Catmull-Rom (Keys 1981, a = -1/2), clamped to the range of the four
   nearest pixels so that bright lights have no halo, or, with most > 0, with the peaks of small lights up to most (peaked,
   in common.cl); where some of the 5 x 5 pixels around have no coverage
   (channel 4 = 0) it is the bilinear mean of the covered ones, and where none is covered, the result is S. keep and
   slope are bilinear. keep 1 -> S exactly; slope 0, keep 0 -> the blur. */

/* Catmull-Rom a quarter pixel after the second of four samples. */
#define QUARTER (float4)(-0.0703125f, 0.8671875f, 0.2265625f, -0.0234375f)

inline float4 cubic(float4 a, float4 b, float4 c, float4 d)
{
    return QUARTER.x * a + QUARTER.y * b + QUARTER.z * c + QUARTER.w * d;
}

/* The value a quarter of the way from a, the nearest of four neighbours, to the opposite corner d. */
inline float4 quarter_way(float4 a, float4 b, float4 c, float4 d)
{
    return 0.5625f * a + 0.1875f * (b + c) + 0.0625f * d;
}

__kernel void composite_blend(__global const float *sharp, __global const float *residual,
                              __global const float *keep, __global const float *slope, __global float *result,
                              int width, int height, int half_width, int half_height, int low_width,
                              int low_height, float low_scale, float most)
{
    int hx = get_global_id(0), hy = get_global_id(1);
    if (hx >= half_width || hy >= half_height)
        return;
    float4 r[5][5];
    float k[3][3], min_keep = 1.0f, coverage = 1.0f;
    for (int j = 0; j < 3; j++)
        for (int i = 0; i < 3; i++) {
            size_t row = (size_t)clamp(hy + j - 1, 0, half_height - 1) * half_width;
            k[j][i] = keep[row + clamp(hx + i - 1, 0, half_width - 1)];
            min_keep = fmin(min_keep, k[j][i]);
        }
    if (min_keep < 1.0f)
        for (int j = 0; j < 5; j++)
            for (int i = 0; i < 5; i++) {
                size_t row = (size_t)clamp(hy + j - 2, 0, half_height - 1) * half_width;
                r[j][i] = vload4(row + clamp(hx + i - 2, 0, half_width - 1), residual);
                coverage = fmin(coverage, r[j][i].w);
            }
    for (int v = 0; v < 2; v++)
        for (int u = 0; u < 2; u++) {
            int x = 2 * hx + u, y = 2 * hy + v;
            if (x >= width || y >= height)
                continue;
            size_t at = (size_t)y * width + x;
            float3 light = vload3(at, sharp);
            if (min_keep < 1.0f) {
                int i = 2 * u, j = 2 * v, p = 2 * u - 1, q = 2 * v - 1;
                float weight = 0.5625f * k[1][1] + 0.1875f * (k[1][i] + k[j][1]) + 0.0625f * k[j][i];
                float4 a = r[2][2], b = r[2][2 + p], c = r[2 + q][2], d = r[2 + q][2 + p], blurred;
                if (coverage > 0.0f && most > 0.0f) {
                    float4 line[4];
                    for (int n = 0; n < 4; n++) {
                        int m = 2 + q * (n - 1);
                        line[n] = peaked(r[m][2 - p], r[m][2], r[m][2 + p], r[m][2 + 2 * p], 0.25f, most);
                    }
                    blurred = peaked(line[0], line[1], line[2], line[3], 0.25f, most);
                } else if (coverage > 0.0f) {
                    float4 line[4];
                    for (int n = 0; n < 4; n++) {
                        int m = 2 + q * (n - 1);
                        line[n] = cubic(r[m][2 - p], r[m][2], r[m][2 + p], r[m][2 + 2 * p]);
                    }
                    blurred = cubic(line[0], line[1], line[2], line[3]);
                    blurred = clamp(blurred, fmin(fmin(a, b), fmin(c, d)), fmax(fmax(a, b), fmax(c, d)));
                } else {
                    float wa = a.w > 0.0f, wb = b.w > 0.0f, wc = c.w > 0.0f, wd = d.w > 0.0f;
                    blurred = quarter_way(wa * a, wb * b, wc * c, wd * d);
                    blurred = blurred.w > 0.0f ? (float4)(blurred.xyz / blurred.w, fmin(blurred.w, 1.0f)) : 0.0f;
                }
                float detail = sample1(slope, low_width, low_height, (x + 0.5f) / low_scale - 0.5f,
                                       (y + 0.5f) / low_scale - 0.5f);
                light += (1.0f - clamp(weight, 0.0f, 1.0f)) * fmin(blurred.w, 1.0f)
                       * (blurred.xyz + detail * light - light);
            }
            vstore3(light, at, result);
        }
}
