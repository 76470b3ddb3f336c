/* Compiled before every kernel. Arrays are C-order [y, x, channel]; pixel centres have integer coordinates.
   Frames are H W 4 half floats: working-space light and, fourth, coverage: 1 where light is known, else 0. */

/* Pixel (x, y) of a frame; coordinates outside are clamped to the edge. */
inline float4 fetch4(__global const half *frame, int width, int height, int x, int y)
{
    x = clamp(x, 0, width - 1);
    y = clamp(y, 0, height - 1);
    return vload_half4((size_t)y * width + x, frame);
}

/* A frame that is sampled between its pixels: FRAME frame. With LONGEXPO_IMAGES it is an image, interpolated by
   the texture unit with positions rounded to 1/256 of a pixel; else a buffer, interpolated here. Either way
   edges are clamped, an integer position gives that pixel, and equal pixels give their value to within a
   factor of SAMPLE_ROUNDING: the weights of a texture unit need not add up to exactly 1. */
#ifdef LONGEXPO_IMAGES
#define FRAME read_only image2d_t
#define SAMPLE_ROUNDING 0x1p-20f

__constant sampler_t BETWEEN = CLK_NORMALIZED_COORDS_FALSE | CLK_ADDRESS_CLAMP_TO_EDGE | CLK_FILTER_LINEAR;

/* Bilinear sample at (x, y), edges clamped. */
inline float4 sample4(FRAME frame, int width, int height, float x, float y)
{
    return read_imagef(frame, BETWEEN, (float2)(x + 0.5f, y + 0.5f));
}

/* Pixel (x, y) inside the frame, through the same sampler as sample4. */
inline float4 pixel4(FRAME frame, int width, int x, int y)
{
    return read_imagef(frame, BETWEEN, (float2)(x + 0.5f, y + 0.5f));
}

/* Bilinear sample whose four pixels are all inside the frame: 0 <= at < size - 1. */
inline float4 sample_inside(FRAME frame, int width, float2 at)
{
    return read_imagef(frame, BETWEEN, at + 0.5f);
}
#else
#define FRAME __global const half *
#define SAMPLE_ROUNDING 0.0f

/* Bilinear sample at (x, y), edges clamped. At an integer position it is that pixel exactly: the weight of
   the neighbours is exactly 0 and a + 0 * (b - a) = a for finite light. */
inline float4 sample4(FRAME frame, int width, int height, float x, float y)
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

/* Pixel (x, y) inside the frame. */
inline float4 pixel4(FRAME frame, int width, int x, int y)
{
    return vload_half4((size_t)y * width + x, frame);
}

/* Bilinear sample whose four pixels are all inside the frame: 0 <= at < size - 1. */
inline float4 sample_inside(FRAME frame, int width, float2 at)
{
    int2 corner = convert_int2(at);
    float2 part = at - convert_float2(corner);
    FRAME four = frame + 4 * ((size_t)corner.y * width + corner.x);
    float8 above = vload_half8(0, four);
    float8 below = vload_half8(0, four + 4 * (size_t)width);
    float8 row = above + part.y * (below - above);
    return row.lo + part.x * (row.hi - row.lo);
}
#endif

/* Raw camera colour, 0..1 of sensor white, to working-space light, given how far each channel is clipped.

   colour: s012 white balance gains, s3 the raw value at which clipping starts; s456, s89a, scde the rows of the
   matrix to the working space; s7 the exposure scale; sb the largest gain.
   A channel clipped by k in 0..1 is raised by k towards the mean of the others' light, each weighted by its own
   1 - k; if these weights sum to less than 1, the largest gain, the light of sensor white, gets the rest.
   k = 0: the channel itself, exactly. All k = 1: the same light in every channel. Never darker than before. */
inline float3 clipped_light(float3 raw, float3 clipped, float16 colour)
{
    float3 light = raw * colour.s012;
    if (clipped.x > 0.0f || clipped.y > 0.0f || clipped.z > 0.0f) {
        light = fmin(raw, 1.0f) * colour.s012;
        float3 reliable = 1.0f - clipped, part = reliable * light, weight = reliable.yzx + reliable.zxy;
        float3 others = (part.yzx + part.zxy + fmax(1.0f - weight, 0.0f) * colour.sb) / fmax(weight, 1.0f);
        light = reliable * light + clipped * fmax(others, light);
    }
    return colour.s7 * (float3)(light.x * colour.s4 + light.y * colour.s5 + light.z * colour.s6,
                                light.x * colour.s8 + light.y * colour.s9 + light.z * colour.sa,
                                light.x * colour.sc + light.y * colour.sd + light.z * colour.se);
}

/* The same, with clipping from each channel's raw value: 0 up to the start, 1 from 0.99 on, smoothstep
   between. */
inline float3 working_light(float3 raw, float16 colour)
{
    float3 clipped = 0.0f;
    if (raw.x > colour.s3 || raw.y > colour.s3 || raw.z > colour.s3)
        clipped = smoothstep((float3)(colour.s3), (float3)(0.99f), raw);
    return clipped_light(raw, clipped, colour);
}

/* Bilinear sample of one channel, edges clamped; equal values give that value exactly. */
inline float sample1(__global const float *values, int width, int height, float x, float y)
{
    x = clamp(x, 0.0f, width - 1.0f);
    y = clamp(y, 0.0f, height - 1.0f);
    int x0 = (int)x, y0 = (int)y, x1 = min(x0 + 1, width - 1), y1 = min(y0 + 1, height - 1);
    float u = x - x0, v = y - y0;
    float a = values[(size_t)y0 * width + x0], b = values[(size_t)y0 * width + x1];
    float c = values[(size_t)y1 * width + x0], d = values[(size_t)y1 * width + x1];
    float top = a + u * (b - a), bottom = c + u * (d - c);
    return top + v * (bottom - top);
}
