/* For every low pixel: which share of the sharp exposure's detail the blur holds, and how much they differ.

     share = clamp(cov / (var S + least), 0, 1) * clamp((r^2 - 0.6) / 0.35, 0, 1),   r^2 = cov^2 / (var B var S)
     differ = the largest mean excess over 3 x 3 half pixels, their centre inside the low pixel

   B is the blur, S the guide squared; covariance and variances are over the low pixel's cell x cell half pixels
   and 2 more on every side, edges clamped, where the blur is known, summed over the colours; 3 least is added to
   the variances. This is the slope of a guided filter (He and Sun 2015, arXiv 1505.00996), held to 0..1: a thing
   that stands still for a part of the time leaves that part of its detail, and little else. Where other detail
   is mixed in, r^2 falls and nothing is said. Still -> 1, all light smeared or flat -> 0. */
#define MARGIN 2

__kernel void composite_detail(__global const float *blur, __global const half *guide,
                               __global const float *excess, __global float *share, __global float *differ,
                               int width, int height, int low_width, int low_height, int cell, float least)
{
    int low_x = get_global_id(0), low_y = get_global_id(1);
    if (low_x >= low_width || low_y >= low_height)
        return;
    size_t at = (size_t)low_y * low_width + low_x;
    int left = low_x * cell, top = low_y * cell;

    /* Sums of differences to one pixel: the variance of nearly equal light would drown in rounding. */
    size_t first = (size_t)min(top, height - 1) * width + min(left, width - 1);
    float4 b0 = vload4(first, blur), g0 = vload_half4(first, guide), s0 = g0 * g0;
    float4 sum_b = 0.0f, sum_s = 0.0f, sum_bs = 0.0f, sum_ss = 0.0f, sum_bb = 0.0f;
    float count = 0.0f;
    for (int j = top - MARGIN; j < top + cell + MARGIN; j++)
        for (int i = left - MARGIN; i < left + cell + MARGIN; i++) {
            size_t here = (size_t)clamp(j, 0, height - 1) * width + clamp(i, 0, width - 1);
            float4 b = vload4(here, blur), g = vload_half4(here, guide);
            float known = b.w > 0.0f ? 1.0f : 0.0f;
            float4 db = known * (b - b0), ds = known * (g * g - s0);
            sum_b += db;
            sum_s += ds;
            sum_bs += db * ds;
            sum_ss += ds * ds;
            sum_bb += db * db;
            count += known;
        }
    float4 covariances = sum_bs - sum_b * sum_s / count;
    float4 variances_b = sum_bb - sum_b * sum_b / count, variances_s = sum_ss - sum_s * sum_s / count;
    float covariance = fmax(covariances.x + covariances.y + covariances.z, 0.0f), least_sum = 3.0f * count * least;
    float variance_b = variances_b.x + variances_b.y + variances_b.z + least_sum;
    float variance_s = variances_s.x + variances_s.y + variances_s.z + least_sum;
    float alike = covariance * covariance / (variance_b * variance_s);
    float sure = clamp((alike - 0.6f) / 0.35f, 0.0f, 1.0f);
    share[at] = count > 0.0f ? clamp(covariance / variance_s, 0.0f, 1.0f) * sure : 0.0f;

    float most = 0.0f;
    for (int j = top; j < min(top + cell, height); j++)
        for (int i = left; i < min(left + cell, width); i++) {
            float sum = 0.0f;
            for (int v = max(j - 1, 0); v <= min(j + 1, height - 1); v++)
                for (int u = max(i - 1, 0); u <= min(i + 1, width - 1); u++)
                    sum += excess[(size_t)v * width + u];
            most = fmax(most, sum / 9.0f);
        }
    differ[at] = most;
}
