/* Mean of k x k half-resolution pixels, weighted by channel 4, on the low grid.

   light = sum(coverage * light) / sum(coverage), 0 where coverage is 0; channel 4 = sum(coverage) / pixels inside.
   Cells that cross the picture's edge take the mean of their pixels inside. */
__kernel void develop_low(__global const half *frame, __global float *low, int width, int height, int k)
{
    int x = get_global_id(0), y = get_global_id(1);
    int low_width = (width + k - 1) / k, low_height = (height + k - 1) / k;
    if (x >= low_width || y >= low_height)
        return;
    int right = min((x + 1) * k, width), bottom = min((y + 1) * k, height);
    float4 sum = 0.0f;
    for (int j = y * k; j < bottom; j++)
        for (int i = x * k; i < right; i++) {
            float4 pixel = vload_half4((size_t)j * width + i, frame);
            sum += (float4)(pixel.xyz * pixel.w, pixel.w);
        }
    float count = (float)((right - x * k) * (bottom - y * k));
    float3 light = sum.w > 0.0f ? sum.xyz / sum.w : (float3)(0.0f);
    vstore4((float4)(light, sum.w / count), (size_t)y * low_width + x, low);
}
