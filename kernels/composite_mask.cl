/* Joint bilateral upsampling (Kopf 2007, doi:10.1145/1276377.1276497) of the mask from the low to the half
   grid, guided by the sharp picture:

     mask(p) = sum_q b(|p - q| / radius) r(|g(p) - g(q)|) mask(q) / sum_q b r,   q on the low grid
     b(t) = (1 - t^2)^2 for t < 1, else 0,   r(d) = b(d / range) + MIN_RANGE_WEIGHT

   with distances in low pixels and the guide g in square-rooted light. A constant mask is returned exactly (the
   mean is taken of differences to the nearest q); an edge of more than `range` in the guide is hardly crossed.
   Where varying(q) is 0 the mask is constant around q and is copied. */

/* A pixel that differs from all its neighbours gets their unweighted mean. */
#define MIN_RANGE_WEIGHT 0.02f

inline float biweight(float squared)
{
    float inner = fmax(1.0f - squared, 0.0f);
    return inner * inner;
}

__kernel void composite_mask(__global const float *mask, __global const uchar *varying,
                             __global const half *low_guide, __global const half *guide, __global float *result,
                             int width, int height, int low_width, int low_height, float half_per_low,
                             float radius, float range)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t at = (size_t)y * width + x;
    float4 here = vload_half4(at, guide);
    float px = (x + 0.5f) / half_per_low - 0.5f, py = (y + 0.5f) / half_per_low - 0.5f;
    int left = max((int)ceil(px - radius), 0), right = min((int)floor(px + radius), low_width - 1);
    int top = max((int)ceil(py - radius), 0), bottom = min((int)floor(py + radius), low_height - 1);
    int middle = clamp((int)rint(py), 0, low_height - 1) * low_width + clamp((int)rint(px), 0, low_width - 1);
    float nearest = mask[middle];
    if (!varying[middle]) {
        result[at] = nearest;
        return;
    }
    float per_radius = 1.0f / (radius * radius), per_range = 1.0f / (range * range);
    float sum = 0.0f, total = 0.0f;
    for (int j = top; j <= bottom; j++)
        for (int i = left; i <= right; i++) {
            float4 d = vload_half4((size_t)j * low_width + i, low_guide) - here;
            float range_weight = biweight((d.x * d.x + d.y * d.y + d.z * d.z) * per_range) + MIN_RANGE_WEIGHT;
            float w = biweight(((i - px) * (i - px) + (j - py) * (j - py)) * per_radius) * range_weight;
            sum += w * (mask[j * low_width + i] - nearest);
            total += w;
        }
    result[at] = total > 0.0f ? nearest + sum / total : nearest;
}
