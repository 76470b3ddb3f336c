/* Synthetic exposures of the cells and their weights (Mertens 2007, section 3.1, doi:10.1109/PG.2007.17).

     E_k = shown(2^(level + ev_k)), k = 0..3: what the tone curve would print, as a display value in 0..1
     w_k = exp(-(E_k - 0.5)^2 / (2 * 0.2^2)) (1 - E_k^6) + LEAST,  weight = w / sum w

   The factor 1 - E^6 is not Mertens': without it, three white exposures burn out what the shortest still shows.
   His measures of contrast and saturation are left out, as in Hasinoff 2016, section 6: the exposures
   are made from one picture, and those measures would favour the noise of the longest.
   Extremes: every weight is at least LEAST, so the sum is never 0; four white exposures weigh the same. */

constant float SIGMA = 0.2f;
constant float LEAST = 1e-4f;

__kernel void finish_expose(__global const float *level,  /* H W: log2 of light */
                            __global const float *shown,  /* entries: display value, by sqrt(n / top) */
                            __global float4 *exposed,     /* H W */
                            __global float4 *weight,      /* H W */
                            int width, int height, int entries, float top, float4 ev)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t at = (size_t)y * width + x;
    float4 place = fmin(sqrt(exp2(level[at] + ev) / top), 1.0f) * (entries - 1);
    int4 below = min(convert_int4(place), entries - 2);
    float4 low = (float4)(shown[below.x], shown[below.y], shown[below.z], shown[below.w]);
    float4 high = (float4)(shown[below.x + 1], shown[below.y + 1], shown[below.z + 1], shown[below.w + 1]);
    float4 value = low + (place - convert_float4(below)) * (high - low);
    float4 square = value * value, unclipped = fmax(1.0f - square * square * square, 0.0f);
    float4 w = exp(-(value - 0.5f) * (value - 0.5f) / (2.0f * SIGMA * SIGMA)) * unclipped + LEAST;
    exposed[at] = value;
    weight[at] = w / (w.x + w.y + w.z + w.w);
}
