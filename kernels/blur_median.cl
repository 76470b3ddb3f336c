/* What is there most of the time: of frames packed by blur_pack, the mean of those that are near the median.

   For each colour the median of the covered frames' values (of an even number the mean of the middle two), then the
   mean of the frames none of whose colours is more than `near` steps of 1023 from its median; where there is none,
   the medians themselves. A thing that covers a pixel in less than half of the frames leaves nothing there, and
   the mean of the others has less noise than a median. The result is light; its channel 4 is the part of the frames
   that cover the pixel. agree is 1 where half of these or more show what the median is, within AGREE times `near`,
   and where none covers the pixel; elsewhere 0: things passed there most of the time. */
#define AGREE 3.0f
#define MAX_FRAMES 25

inline float3 unpacked(uint bits)
{
    return (float3)(bits >> 20 & 1023u, bits >> 10 & 1023u, bits & 1023u);
}

/* The median of count > 0 sorted values. */
inline float middle_of(const float *sorted, int count)
{
    return 0.5f * (sorted[(count - 1) / 2] + sorted[count / 2]);
}

inline void insert(float *sorted, int count, float value)
{
    int n = count;
    for (; n > 0 && sorted[n - 1] > value; n--)
        sorted[n] = sorted[n - 1];
    sorted[n] = value;
}

/* Light / clip_light of steps. */
inline float3 unrooted(float3 step, float black)
{
    float3 root = step / 1023.0f;
    return (1.0f + black) * root * root - black;
}

__kernel void blur_median(__global const uint *packed, __global float *light, __global uchar *agree, int width,
                          int height, int frames, float near, float clip_light, float black)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t at = (size_t)y * width + x, plane = (size_t)width * height;
    float red[MAX_FRAMES], green[MAX_FRAMES], blue[MAX_FRAMES];
    int covered = 0;
    for (int n = 0; n < frames; n++) {
        uint bits = packed[n * plane + at];
        if (bits == 0u)
            continue;
        float3 v = unpacked(bits);
        insert(red, covered, v.x);
        insert(green, covered, v.y);
        insert(blue, covered, v.z);
        covered++;
    }
    if (covered == 0) {
        vstore4((float4)(0.0f), at, light);
        agree[at] = 1;
        return;
    }
    float3 median = (float3)(middle_of(red, covered), middle_of(green, covered), middle_of(blue, covered));
    float3 sum = 0.0f;
    float count = 0.0f, alike = 0.0f;
    for (int n = 0; n < frames; n++) {
        uint bits = packed[n * plane + at];
        float3 v = unpacked(bits), apart = fabs(v - median);
        float most = fmax(fmax(apart.x, apart.y), apart.z);
        float is_near = bits != 0u && most <= near ? 1.0f : 0.0f;
        alike += bits != 0u && most <= AGREE * near ? 1.0f : 0.0f;
        sum += is_near * unrooted(v, black);
        count += is_near;
    }
    float3 mean = count > 0.0f ? sum / count : unrooted(median, black);
    float4 result = (float4)(clip_light * mean, 0.0f);
    result.w = (float)covered / frames;
    vstore4(result, at, light);
    agree[at] = 2.0f * alike >= (float)covered;
}
