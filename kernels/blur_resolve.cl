/* The accumulator decoded to light: g = total.xyz / total.w, then the inverse of soft gamma, times clip_light:

     g <= 0      g k
     0 < g < 1   g / (g + (1 - g) / k)
     g >= 1      g (rounding only, or k = 1)

   Channel 4 is the part of the whole time weight that covers the pixel, total.w / time_weight, at most 1; where it is
   0 the light is 0. g 0 -> 0, 1 -> clip_light. */
inline float inverse_soft_gamma(float g, float k)
{
    if (k == 1.0f || g <= 0.0f)
        return g * k;
    return g < 1.0f ? g / (g + (1.0f - g) / k) : g;
}

__kernel void blur_resolve(__global const float *total, __global float *light, int width, int height,
                           float clip_light, float k, float time_weight)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t at = (size_t)y * width + x;
    float4 sum = vload4(at, total);
    float4 g = sum / sum.w;
    float4 v = (float4)(inverse_soft_gamma(g.x, k), inverse_soft_gamma(g.y, k), inverse_soft_gamma(g.z, k), 0.0f)
             * clip_light;
    v.w = fmin(sum.w / time_weight, 1.0f);
    vstore4(sum.w > 0.0f ? v : (float4)(0.0f), at, light);
}
