/* Shared by every kernel. Arrays are C-order [y, x, channel]; a pixel's centre has integer coordinates.
   Frames are H W 4 half floats: working-space light and, fourth, 1 where the light is known, else 0. */

/* Pixel (x, y) of a frame; coordinates outside are clamped to the edge. */
inline float4 fetch4(__global const half *frame, int width, int height, int x, int y)
{
    x = clamp(x, 0, width - 1);
    y = clamp(y, 0, height - 1);
    return vload_half4((size_t)y * width + x, frame);
}

/* Bilinear sample at (x, y), edges clamped. On an integer position it is that pixel exactly: the weight of
   the neighbours is exactly 0 and a + 0 * (b - a) = a for finite light. */
inline float4 sample4(__global const half *frame, int width, int height, float x, float y)
{
    float fx = floor(x), fy = floor(y);
    int ix = convert_int_sat(fx), iy = convert_int_sat(fy);
    float u = x - fx, v = y - fy;
    float4 a = fetch4(frame, width, height, ix, iy);
    float4 b = fetch4(frame, width, height, ix + 1, iy);
    float4 c = fetch4(frame, width, height, ix, iy + 1);
    float4 d = fetch4(frame, width, height, ix + 1, iy + 1);
    float4 top = a + u * (b - a), bottom = c + u * (d - c);
    return top + v * (bottom - top);
}
