/* Soft gamma (Tabellion 2023, equation 9), extended so that noise survives: with v = light / clip_light

     v <= 0      v / k                     the tangent at 0, so that negative noise still averages to 0
     0 < v < 1   v / (v + (1 - v) k)
     v >= 1      1, or v itself when k = 1 (soft gamma off leaves every value as it is)

   Light is multiplied by its confidence, which becomes channel 4, so that bilinear samples of all four channels
   divide to the mean weighted by confidence. v 0 -> 0, 1 -> 1, slope 1/k at 0 and k at 1.

   Confidence is channel 4 (coverage: 1 known, 0 unknown), feathered towards the edge of the frame, so that no
   step shows where one frame of many ends: with m the mean coverage at TAPS points on each side, up to feather away,

     confidence = coverage MIN_CONFIDENCE^(2 (1 - min(m_x, m_y)))

   Points outside the picture repeat its edge, so the picture's own edge is not feathered. The covered area is
   convex: where the four corners of the square of points are covered, all of it is, and nothing is feathered. Covered
   all around, or feather 0 -> 1 exactly; beside a straight edge m = 1/2 -> MIN_CONFIDENCE. */
#define TAPS 8
#define MIN_CONFIDENCE 0.02f

/* Channel 4 of a pixel; coordinates outside are clamped to the edge. */
inline float coverage_at(__global const half *light, int width, int height, int x, int y)
{
    size_t at = (size_t)clamp(y, 0, height - 1) * width + clamp(x, 0, width - 1);
    return vload_half(4 * at + 3, light);
}

/* Mean of channel 4 at TAPS points each way from (x, y), up to (dx, dy) away. */
inline float mean_coverage(__global const half *light, int width, int height, int x, int y, float dx, float dy)
{
    float sum = 0.0f;
    for (int n = 1; n <= TAPS; n++) {
        int i = (int)rint(dx * n / TAPS), j = (int)rint(dy * n / TAPS);
        sum += coverage_at(light, width, height, x - i, y - j) + coverage_at(light, width, height, x + i, y + j);
    }
    return fmin(sum / (2 * TAPS), 1.0f);
}

inline float soft_gamma(float v, float k)
{
    if (k == 1.0f || v <= 0.0f)
        return v / k;
    v = fmin(v, 1.0f);
    return v / (v + (1.0f - v) * k);
}

__kernel void blur_encode(__global const half *light, __global half *encoded, int width, int height,
                          float clip_light, float k, float feather)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t at = (size_t)y * width + x;
    float4 v = vload_half4(at, light);
    float confidence = clamp(v.w, 0.0f, 1.0f);
    int feather_px = (int)rint(feather);
    float corners = fmin(fmin(coverage_at(light, width, height, x - feather_px, y - feather_px),
                              coverage_at(light, width, height, x + feather_px, y - feather_px)),
                         fmin(coverage_at(light, width, height, x - feather_px, y + feather_px),
                              coverage_at(light, width, height, x + feather_px, y + feather_px)));
    if (confidence > 0.0f && feather >= 1.0f && corners < 1.0f) {
        float mean = fmin(mean_coverage(light, width, height, x, y, feather, 0.0f),
                          mean_coverage(light, width, height, x, y, 0.0f, feather));
        confidence *= mean < 1.0f ? exp2(2.0f * (1.0f - mean) * log2(MIN_CONFIDENCE)) : 1.0f;
    }
    float4 g = (float4)(soft_gamma(v.x / clip_light, k), soft_gamma(v.y / clip_light, k),
                        soft_gamma(v.z / clip_light, k), 1.0f);
    vstore_half4(confidence > 0.0f ? g * confidence : (float4)(0.0f), at, encoded);
}
