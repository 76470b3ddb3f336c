/* The part of the blur that the sharp exposure's detail does not explain: residual = B - slope S.

   slope is interpolated bilinearly from the low grid, edges clamped; S is the guide squared; channel 4 is 1
   where that of the blur is above 0.
   slope 0 -> the blur itself, exactly. */
__kernel void composite_residual(__global const float *blur, __global const half *guide,
                                 __global const float *slope, __global float *residual, int width, int height,
                                 int low_width, int low_height, float half_per_low)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t at = (size_t)y * width + x;
    float a = sample1(slope, low_width, low_height, (x + 0.5f) / half_per_low - 0.5f,
                      (y + 0.5f) / half_per_low - 0.5f);
    float4 b = vload4(at, blur), g = vload_half4(at, guide);
    vstore4((float4)(b.xyz - a * g.xyz * g.xyz, b.w > 0.0f ? 1.0f : 0.0f), at, residual);
}
