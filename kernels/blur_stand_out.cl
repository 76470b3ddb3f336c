/* The mean of all light, and what stands out from it: light.xyz = mean + t (clip_light extreme - mean).

   t = clamp(d / margin - 1, 0, 1), d the largest difference of a colour in the direction of the extreme over the
   standard deviation of a frame's noise there, sqrt(max(slope mean, 0) + offset). The brightest of many frames is
   brighter than their mean by noise alone; light within margin standard deviations stays the mean. Where no
   sample was seen (channel 4 of extreme = 0) it is the mean. Channel 4 of the result is the mean's. */
__kernel void blur_stand_out(__global const float *mean, __global const float *extreme, __global float *light,
                             int width, int height, float clip_light, float4 slope, float4 offset, float margin,
                             int is_darkest)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t at = (size_t)y * width + x;
    float4 m = vload4(at, mean), e = vload4(at, extreme);
    float4 difference = clip_light * e - m, noise = sqrt(fmax(slope * m, 0.0f) + offset);
    float4 d = (is_darkest ? -difference : difference) / noise;
    float t = e.w > 0.0f ? clamp(fmax(fmax(d.x, d.y), d.z) / margin - 1.0f, 0.0f, 1.0f) : 0.0f;
    vstore4((float4)((m + t * difference).xyz, m.w), at, light);
}
