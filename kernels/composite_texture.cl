/* Mean and texture of a half-resolution frame in every low pixel, on square roots of light.

     v = sqrt(max(F, 0) + black)
     texture.xyz = mean v,   texture.w = mean of |v(x+1, y) - v|^2 + |v(x, y+1) - v|^2, summed over the colours

   over the cell x cell half pixels, or those inside the picture; edges clamped. Even light -> w 0, exactly. */
inline float3 root_light(__global const half *frame, int width, int height, int x, int y, float4 black)
{
    float4 light = fetch4(frame, width, height, x, y);
    return sqrt(fmax(light.xyz, 0.0f) + black.xyz);
}

__kernel void composite_texture(__global const half *frame, __global float *texture, int width, int height,
                                int low_width, int low_height, int cell, float4 black)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= low_width || y >= low_height)
        return;
    int right = min((x + 1) * cell, width), bottom = min((y + 1) * cell, height);
    float4 sum = 0.0f;
    for (int j = y * cell; j < bottom; j++)
        for (int i = x * cell; i < right; i++) {
            float3 here = root_light(frame, width, height, i, j, black);
            float3 dx = root_light(frame, width, height, i + 1, j, black) - here;
            float3 dy = root_light(frame, width, height, i, j + 1, black) - here;
            float3 squared = dx * dx + dy * dy;
            sum += (float4)(here, squared.x + squared.y + squared.z);
        }
    vstore4(sum / ((right - x * cell) * (bottom - y * cell)), (size_t)y * low_width + x, texture);
}
