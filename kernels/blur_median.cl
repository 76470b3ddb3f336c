/* What is there most of the time: of frames packed by blur_pack, the mean of those that are near the median.

   For each colour the median of the covered frames' values (of an even number the mean of the middle two), then the
   mean of the frames none of whose colours is more than `near` steps of 1023 from its median; where there is none,
   the medians themselves. Frames that end inside the picture fade: a frame weighs smoothstep(0, feather, distance to
   what it does not cover), at least MIN_WEIGHT, so that no step shows where it ends. With weights w of sorted values v,
   of sum W, the median is the mean of v over the cumulative weights W / 2 - 1 / 2 to W / 2 + 1 / 2, which changes
   evenly with the weights and is the usual one where all are 1.

   A thing that covers a pixel in less than half of the frames leaves nothing there, and the mean of the others has
   less noise than a median. The result is light; its channel 4 is W over the number of frames. agree is 1 where half of W or more shows what the median is, within AGREE times `near`, and where no frame
   covers the pixel; elsewhere 0: things passed there most of the time. */
#define AGREE 3.0f
#define MAX_FRAMES 25
#define MIN_WEIGHT 0.02f
/* Weights are rounded, so that a sorted value and its weight fit exactly into one number: whole steps, half the weight. */
#define WEIGHT_STEPS 1024.0f
#define KEY(value, weight) ((value) + 0.5f * (weight))
#define WEIGHT_OF(key) (2.0f * ((key) - floor(key)))

inline float3 unpacked(uint bits)
{
    return (float3)(bits >> 20 & 1023u, bits >> 10 & 1023u, bits & 1023u);
}

/* The mean of count > 0 sorted values over half a frame's weight on either side of the middle of all weights. */
inline float middle_of(const float *sorted, int count, float all)
{
    if (all == (float)count)
        return 0.5f * (floor(sorted[(count - 1) / 2]) + floor(sorted[count / 2]));
    float from = 0.5f * all - 0.5f, to = 0.5f * all + 0.5f, before = 0.0f, sum = 0.0f, weights = 0.0f;
    for (int n = 0; n < count; n++) {
        float after = before + WEIGHT_OF(sorted[n]);
        float part = fmax(fmin(after, to) - fmax(before, from), 0.0f);
        sum += part * floor(sorted[n]);
        weights += part;
        before = after;
    }
    return sum / weights;
}

inline int is_covered(__global const uint *frame, int width, int height, int x, int y)
{
    return frame[(size_t)clamp(y, 0, height - 1) * width + clamp(x, 0, width - 1)] != 0u;
}

/* How many pixels are covered from (x, y), which is, in a direction of length 1, at most feather. */
inline int covered_px(__global const uint *frame, int width, int height, int x, int y, int dx, int dy, int feather)
{
    int covered = 0, bare = feather;
    if (is_covered(frame, width, height, x + feather * dx, y + feather * dy))
        return feather;
    while (bare - covered > 1) {
        int middle = (covered + bare) / 2, more = is_covered(frame, width, height, x + middle * dx, y + middle * dy);
        covered = more ? middle : covered;
        bare = more ? bare : middle;
    }
    return bare;
}

/* The weight of a frame where it covers a pixel and not all around. */
inline float weight_of_frame(__global const uint *frame, int width, int height, int x, int y, int feather)
{
    int across = min(covered_px(frame, width, height, x, y, -1, 0, feather),
                     covered_px(frame, width, height, x, y, 1, 0, feather));
    int down = min(covered_px(frame, width, height, x, y, 0, -1, feather),
                   covered_px(frame, width, height, x, y, 0, 1, feather));
    float weight = MIN_WEIGHT + (1.0f - MIN_WEIGHT) * smoothstep(0.0f, (float)feather, (float)min(across, down));
    return rint(WEIGHT_STEPS * weight) / WEIGHT_STEPS;
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
                          int height, int frames, float near, float clip_light, float black, float feather)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t at = (size_t)y * width + x, plane = (size_t)width * height;
    float red[MAX_FRAMES], green[MAX_FRAMES], blue[MAX_FRAMES], weights[MAX_FRAMES], all = 0.0f;
    int covered = 0, feather_px = (int)rint(feather);
    int left = max(x - feather_px, 0), right = min(x + feather_px, width - 1);
    size_t above = (size_t)max(y - feather_px, 0) * width, below = (size_t)min(y + feather_px, height - 1) * width;
    for (int n = 0; n < frames; n++) {
        uint bits = packed[n * plane + at];
        weights[n] = 0.0f;
        if (bits == 0u)
            continue;
        float3 v = unpacked(bits);
        __global const uint *frame = packed + n * plane; /* covers a convex area: all between four corners, or not */
        uint corners = min(min(frame[above + left], frame[above + right]), min(frame[below + left], frame[below + right]));
        float weight = corners > 0u ? 1.0f : weight_of_frame(frame, width, height, x, y, feather_px);
        insert(red, covered, KEY(v.x, weight));
        insert(green, covered, KEY(v.y, weight));
        insert(blue, covered, KEY(v.z, weight));
        covered++;
        weights[n] = weight;
        all += weight;
    }
    if (covered == 0) {
        vstore4((float4)(0.0f), at, light);
        agree[at] = 1;
        return;
    }
    float3 median = (float3)(middle_of(red, covered, all), middle_of(green, covered, all), middle_of(blue, covered, all));
    float3 sum = 0.0f;
    float count = 0.0f, alike = 0.0f;
    for (int n = 0; n < frames; n++) {
        uint bits = packed[n * plane + at];
        float3 v = unpacked(bits), apart = fabs(v - median);
        float most = fmax(fmax(apart.x, apart.y), apart.z);
        float is_near = most <= near ? weights[n] : 0.0f;
        alike += most <= AGREE * near ? weights[n] : 0.0f;
        sum += is_near * unrooted(v, black);
        count += is_near;
    }
    float3 mean = count > 0.0f ? sum / count : unrooted(median, black);
    float4 result = (float4)(clip_light * mean, 0.0f);
    result.w = all / frames;
    vstore4(result, at, light);
    agree[at] = 2.0f * alike >= all;
}
