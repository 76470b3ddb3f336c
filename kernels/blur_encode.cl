/* Soft gamma (Tabellion 2023, equation 9), extended so that noise survives: with v = light / clip_light

     v <= 0      v / k                     the tangent at 0, so that negative noise still averages to 0
     0 < v < 1   v / (v + (1 - v) k)
     v >= 1      1, or v itself when k = 1 (soft gamma off leaves every value as it is)

   Light is multiplied by its confidence, which becomes channel 4, so that bilinear samples of all four channels
   divide to the mean weighted by confidence. v 0 -> 0, 1 -> 1, slope 1/k at 0 and k at 1.

   Confidence is channel 4 (coverage: 1 known, 0 unknown), feathered towards the edge of the frame, so that no
   step shows where one frame of many ends: with d the least distance to what is not covered to the left, the right,
   above and below,

     confidence = coverage (MIN_CONFIDENCE + (1 - MIN_CONFIDENCE) smoothstep(0, feather, d)),

   which is level at both ends. Points outside the picture repeat its edge, so the picture's own edge is not feathered.
   The covered area is convex: where the four corners of the square of points are covered, all of it is, and nothing
   is feathered; and the distance is found by halving. Covered all around, or feather 0 -> 1 exactly. */

#define MIN_CONFIDENCE 0.02f

/* Channel 4 of a pixel; coordinates outside are clamped to the edge. */
inline float coverage_at(__global const half *light, int width, int height, int x, int y)
{
    size_t at = (size_t)clamp(y, 0, height - 1) * width + clamp(x, 0, width - 1);
    return vload_half(4 * at + 3, light);
}

/* How many pixels are covered from (x, y) on in a direction of length 1, at most feather; the last by its part. */
inline float covered_px(__global const half *light, int width, int height, int x, int y, int dx, int dy, int feather)
{
    int covered = 0, bare = feather;
    if (coverage_at(light, width, height, x + feather * dx, y + feather * dy) > 0.0f)
        return feather;
    while (bare - covered > 1) {
        int middle = (covered + bare) / 2;
        bool is_covered = coverage_at(light, width, height, x + middle * dx, y + middle * dy) > 0.0f;
        covered = is_covered ? middle : covered;
        bare = is_covered ? bare : middle;
    }
    return covered + coverage_at(light, width, height, x + covered * dx, y + covered * dy);
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
        float across = fmin(covered_px(light, width, height, x, y, -1, 0, feather_px),
                            covered_px(light, width, height, x, y, 1, 0, feather_px));
        float down = fmin(covered_px(light, width, height, x, y, 0, -1, feather_px),
                          covered_px(light, width, height, x, y, 0, 1, feather_px));
        float inside = smoothstep(0.0f, (float)feather_px, fmin(across, down));
        confidence *= MIN_CONFIDENCE + (1.0f - MIN_CONFIDENCE) * inside;
    }
    float4 g = (float4)(soft_gamma(v.x / clip_light, k), soft_gamma(v.y / clip_light, k),
                        soft_gamma(v.z / clip_light, k), 1.0f);
    vstore_half4(confidence > 0.0f ? g * confidence : (float4)(0.0f), at, encoded);
}
