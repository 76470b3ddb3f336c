/* A frame kept in 32 bits a pixel, for the median of the frames: ten bits a colour of the root of v + black over that of
   1 + black, v = light / clip_light, rounded, from v = -black to v = 1, and in bit 30 whether it is covered.

   Roots of light are as noisy in shadows as in lights (Anscombe 1948, doi:10.1093/biomet/35.3-4.246); black is the
   offset of the noise over its slope. */
#define MIN_COVERAGE 0.15f

__kernel void blur_pack(__global const half *frame, __global uint *packed, int width, int height, int plane, float black)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t at = (size_t)y * width + x;
    float4 v = vload_half4(at, frame);
    uint bits = 0;
    if (v.w >= MIN_COVERAGE) {
        float3 root = sqrt(clamp((v.xyz / v.w + black) / (1.0f + black), 0.0f, 1.0f));
        uint3 step = convert_uint3(1023.0f * root + 0.5f);
        bits = 1u << 30 | step.x << 20 | step.y << 10 | step.z;
    }
    packed[(size_t)plane * width * height + at] = bits;
}
