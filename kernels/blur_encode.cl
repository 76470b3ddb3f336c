/* Soft gamma (Tabellion 2023, equation 9), extended so that noise survives: with v = light / white

     v <= 0      v / k                     the tangent at 0, so that negative noise still averages to 0
     0 < v < 1   v / (v + (1 - v) k)
     v >= 1      1, or v itself when k = 1 (soft gamma off leaves every value as it is)

   Light is multiplied by its trust, which becomes channel 4, so that bilinear samples of all four channels
   divide to the mean by trust of what is known. v 0 -> 0, 1 -> 1, slope 1/k at 0 and k at 1.

   Trust is channel 4 (1 known, 0 unknown) and falls towards the edge of the frame, so that no step shows where
   one frame of many ends: with m the mean of channel 4 at TAPS points on each side, to fade away,

     trust = known LEAST^(2 (1 - min(m_x, m_y)))

   Beyond the picture nothing is read: its own edge fades nothing. What a frame covers is convex, so where the
   four corners of the square of points are known, all of it is and nothing fades. Known all around, or fade 0
   -> 1 exactly; beside a straight edge m = 1/2 -> LEAST. */
#define TAPS 8
#define LEAST 0.02f

/* Channel 4 of a pixel; coordinates outside are clamped to the edge. */
inline float known_at(__global const half *light, int width, int height, int x, int y)
{
    size_t at = (size_t)clamp(y, 0, height - 1) * width + clamp(x, 0, width - 1);
    return vload_half(4 * at + 3, light);
}

/* Mean of channel 4 at TAPS points each way from (x, y), up to (dx, dy) away. */
inline float known_around(__global const half *light, int width, int height, int x, int y, float dx, float dy)
{
    float sum = 0.0f;
    for (int n = 1; n <= TAPS; n++) {
        int i = (int)rint(dx * n / TAPS), j = (int)rint(dy * n / TAPS);
        sum += known_at(light, width, height, x - i, y - j) + known_at(light, width, height, x + i, y + j);
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
                          float white, float k, float fade)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t at = (size_t)y * width + x;
    float4 v = vload_half4(at, light);
    float known = clamp(v.w, 0.0f, 1.0f);
    int reach = (int)rint(fade);
    float corners = fmin(fmin(known_at(light, width, height, x - reach, y - reach),
                              known_at(light, width, height, x + reach, y - reach)),
                         fmin(known_at(light, width, height, x - reach, y + reach),
                              known_at(light, width, height, x + reach, y + reach)));
    if (known > 0.0f && fade >= 1.0f && corners < 1.0f) {
        float around = fmin(known_around(light, width, height, x, y, fade, 0.0f),
                            known_around(light, width, height, x, y, 0.0f, fade));
        known *= around < 1.0f ? exp2(2.0f * (1.0f - around) * log2(LEAST)) : 1.0f;
    }
    float4 g = (float4)(soft_gamma(v.x / white, k), soft_gamma(v.y / white, k),
                        soft_gamma(v.z / white, k), 1.0f);
    vstore_half4(known > 0.0f ? g * known : (float4)(0.0f), at, encoded);
}
