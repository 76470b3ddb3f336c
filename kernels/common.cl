/* Compiled before every kernel. Arrays are C-order [y, x, channel]; pixel centres have integer coordinates.
   Frames are H W 4 half floats: working-space light and, fourth, coverage: 1 where light is known, else 0. */

/* Pixel (x, y) of a frame; coordinates outside are clamped to the edge. */
inline float4 fetch4(__global const half *frame, int width, int height, int x, int y)
{
    x = clamp(x, 0, width - 1);
    y = clamp(y, 0, height - 1);
    return vload_half4((size_t)y * width + x, frame);
}

/* The 4 weights of Catmull-Rom at fraction u in 0..1 between the second and the third sample. */
inline float4 catmull_rom(float u)
{
    float u2 = u * u, u3 = u2 * u;
    return (float4)(-0.5f * u3 + u2 - 0.5f * u, 1.5f * u3 - 2.5f * u2 + 1.0f,
                    -1.5f * u3 + 2.0f * u2 + 0.5f * u, 0.5f * u3 - 0.5f * u2);
}

/* Light between the second and the third of four pixels in a row (or columns of four), at u in 0..1, with the peaks
   of small lights: Catmull-Rom, clamped to the two in the middle, but above these by up to PEAK of what both outer ones
   are lower, and up to `most` where they are below that. The peak of a light as small as a pixel is between
   pixels; beside an edge nothing is above the pixels: no bright rim. Equal pixels -> themselves; u 0 -> the second.
   Halfway between two equal pixels whose neighbours are 0 it is 1 + PEAK of them. */
#define PEAK 0.125f
#define PEAKED(type, name) \
    inline type name(type a, type b, type c, type d, float u, float most) \
    { \
        float4 weight = catmull_rom(u); \
        type light = weight.x * a + weight.y * b + weight.z * c + weight.w * d; \
        type low = fmin(b, c), high = fmax(b, c); \
        type peak = fmin(high + PEAK * fmax(high - fmax(a, d), 0.0f), fmax(high, most)); \
        return clamp(light, low, peak); \
    }
PEAKED(float4, peaked)
PEAKED(float16, peaked_columns)

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

/* Clipped highlights.

   A sample is clipped by 0 up to colour.s3, by 1 from CLIPPED on, smoothstep between. Its true value is unknown, but at
   least as large. `rim` is the colour of the unclipped light at the rim of the clipped area nearby (develop_rims), as
   balanced camera light whose channels sum to 3, 0 where there is none; channel 4 is how much of that colour is
   kept where all channels are clipped. */
#define CLIPPED 0.99f /* of sensor white; the margin is for noise */
#define RIM_CELLS 8   /* half-resolution pixels of a pixel of `rim`, in each direction */
#define REFUTED_FROM 1.3f
#define FADE 0.7f     /* light that is rebuilt to p > 1 times the largest keeps p^-FADE of its colour */

/* Rim colour at the half-resolution position (x, y), bilinear, edges clamped; 0 when there are no columns. */
inline float4 sample_rim(__global const float *rim, int columns, int rows, float x, float y)
{
    if (columns == 0)
        return (float4)(0.0f);
    x = clamp((x + 0.5f) / RIM_CELLS - 0.5f, 0.0f, columns - 1.0f);
    y = clamp((y + 0.5f) / RIM_CELLS - 0.5f, 0.0f, rows - 1.0f);
    int x0 = (int)x, y0 = (int)y, x1 = min(x0 + 1, columns - 1), y1 = min(y0 + 1, rows - 1);
    float4 a = vload4((size_t)y0 * columns + x0, rim), b = vload4((size_t)y0 * columns + x1, rim);
    float4 c = vload4((size_t)y1 * columns + x0, rim), d = vload4((size_t)y1 * columns + x1, rim);
    float4 top = a + (x - x0) * (b - a), bottom = c + (x - x0) * (d - c);
    return top + (y - y0) * (bottom - top);
}

/* Balanced light of raw camera colour, 0..1 of sensor white, whose channels are clipped by 0..1.

   colour: s012 white balance gains, s3 the raw value at which clipping starts; s456, s89a, scde the rows of the
   matrix to the working space; s7 the exposure scale; sb the largest gain, the largest light of an unclipped channel.

   With a rim colour r, the light is s r, s the sum of the unclipped channels over that of theirs in r; where all are
   clipped, the smallest s for which no channel is below what it measured. A channel clipped by k in 0..1 is raised
   by k towards that, and never lowered. Without a rim colour, or where it is refuted, as a clipped channel measured
   more than REFUTED_FROM times what it predicts, the channel is raised towards the mean of the others, those
   that are clipped too at the mean of the unclipped ones if that is more than they measured; all clipped give the
   largest gain. (The ideas are those of the highlight reconstruction by colour propagation in RawTherapee and of
   "inpaint opposed" in darktable, which takes one colour for the whole picture.) All k = 0: unchanged, exactly. */
inline float3 unclipped_light(float3 raw, float3 clipped, float4 rim, float16 colour)
{
    float3 light = fmin(raw, 1.0f) * colour.s012, reliable = 1.0f - clipped, part = reliable * light;
    float3 weight = reliable.yzx + reliable.zxy;
    float3 first = fmax(light, (part.yzx + part.zxy) / fmax(weight, 1e-6f));
    first = reliable * light + clipped * first;
    float3 rebuilt = fmax(light, 0.5f * (first.yzx + first.zxy));
    float all = clipped.x * clipped.y * clipped.z;
    rebuilt += all * (colour.sb - rebuilt);
    if (rim.x + rim.y + rim.z > 0.0f) {
        float3 bounds = light / rim.xyz, least = clipped * bounds;
        float bound = fmax(bounds.x, fmax(bounds.y, bounds.z)), bound_weight = 0.02f;
        float scale = (part.x + part.y + part.z + bound_weight * bound) / (dot(reliable, rim.xyz) + bound_weight);
        float refuted = smoothstep(REFUTED_FROM, REFUTED_FROM + 0.3f, fmax(least.x, fmax(least.y, least.z))
                                                                      / fmax(scale, 1e-6f));
        rebuilt += (1.0f - refuted) * (fmax(scale * rim.xyz, light) - rebuilt);
    }
    return reliable * light + clipped * rebuilt;
}

/* Balanced light to working-space light. */
inline float3 to_working(float3 light, float16 colour)
{
    return colour.s7 * (float3)(light.x * colour.s4 + light.y * colour.s5 + light.z * colour.s6,
                                light.x * colour.s8 + light.y * colour.s9 + light.z * colour.sa,
                                light.x * colour.sc + light.y * colour.sd + light.z * colour.se);
}

/* What unclipped_light gives, as working-space light that fits below the largest light of an unclipped channel.

   `mixed` in 0..1 is how far the samples of one clipped colour differ (mixing): there, at an edge finer than the
   pattern, the channels do not fit together, and the light takes the rim's colour by as much.
   Light beyond the largest, and light whose channels are all clipped, fades to neutral: the cube roots of the
   channels, relative to the brightest, are mixed with 1. Cube roots keep the hue that is perceived (OKLab), where a
   mix of light would turn blue to violet. Neutral light stays neutral; `clipped` 0 -> unchanged, exactly. */
inline float3 faded_light(float3 light, float3 clipped, float mixed, float4 rim, float16 colour)
{
    if (clipped.x <= 0.0f && clipped.y <= 0.0f && clipped.z <= 0.0f)
        return to_working(light, colour);
    float all = clipped.x * clipped.y * clipped.z, keep = 1.0f - all;
    if (rim.x + rim.y + rim.z > 0.0f) {
        light += mixed * ((light.x + light.y + light.z) / 3.0f * rim.xyz - light);
        keep = 1.0f - all * (1.0f - rim.w);
    }
    float peak = fmax(light.x, fmax(light.y, light.z)), largest = colour.sb;
    if (peak > largest || all > 0.0f) {
        if (keep <= 0.0f)
            return to_working((float3)(fmin(peak, largest)), colour);
        float3 root = exp2(log2(clamp(light / fmax(peak, 1e-9f), 1e-9f, 1.0f)) / 3.0f);
        root = 1.0f - (1.0f - root) * keep * exp2(-FADE * log2(fmax(peak / largest, 1.0f)));
        light = fmin(peak, largest) * root * root * root;
    }
    return to_working(light, colour);
}

/* Both, for a pixel of raw values. */
inline float3 rebuilt_light(float3 raw, float3 clipped, float mixed, float4 rim, float16 colour)
{
    if (clipped.x <= 0.0f && clipped.y <= 0.0f && clipped.z <= 0.0f)
        return to_working(raw * colour.s012, colour);
    return faded_light(unclipped_light(raw, clipped, rim, colour), clipped, mixed, rim, colour);
}

/* How far raw values are clipped. */
inline float3 clipping_of(float3 raw, float16 colour)
{
    if (raw.x <= colour.s3 && raw.y <= colour.s3 && raw.z <= colour.s3)
        return (float3)(0.0f);
    return smoothstep((float3)(colour.s3), (float3)(CLIPPED), raw);
}

/* The light of a pixel that has samples of all colours, without a rim colour. */
inline float3 working_light(float3 raw, float16 colour)
{
    return rebuilt_light(raw, clipping_of(raw, colour), 0.0f, (float4)(0.0f), colour);
}

/* Where the samples of a colour differ by less than SMOOTH_SPREAD of the largest, light is smooth: noise, and gradients
   that the pattern resolves, are no edge finer than it. */
#define SMOOTH_SPREAD 0.06f
#define MIXED 16.0f
#define MIXED_PIXELS 8.0f /* for pixels (demosaic_interpolate), whose samples are closer together */

/* How mixed light is (faded_light), from the clipping of its colours, their largest raw value and their mean. */
inline float mixing(float3 clipped, float3 largest, float3 mean, float factor)
{
    float3 differs = clipped * ((1.0f - SMOOTH_SPREAD) * largest - mean);
    return clamp(factor * fmax(differs.x, fmax(differs.y, differs.z)), 0.0f, 1.0f);
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

#ifdef VALUE
/* The nearest coordinate inside the picture that has the same position in the pattern. */
inline int nearest_sample(int at, int size)
{
    return clamp(at < 0 ? at + 2 : at >= size ? at - 2 : at, 0, size - 1);
}

/* The 4x4 samples around the 2x2 cell (x, y), its own in the middle; beyond the picture's edge the nearest sample of
   the colour is repeated. */
inline void cell_samples(__global const VALUE *values, int width, int height, int x, int y, float4 *rows)
{
    int left = 2 * x - 1, top = 2 * y - 1;
    if (left >= 0 && top >= 0 && left + 4 <= width && top + 4 <= height) {
        for (int j = 0; j < 4; j++) {
            __global const VALUE *from = values + (size_t)(top + j) * width + left;
            rows[j] = (float4)(convert_float(from[0]), convert_float(from[1]), convert_float(from[2]),
                               convert_float(from[3]));
        }
        return;
    }
    for (int j = 0; j < 4; j++) {
        __global const VALUE *row = values + (size_t)nearest_sample(top + j, height) * width;
        rows[j] = (float4)(convert_float(row[nearest_sample(left, width)]),
                           convert_float(row[nearest_sample(left + 1, width)]),
                           convert_float(row[nearest_sample(left + 2, width)]),
                           convert_float(row[nearest_sample(left + 3, width)]));
    }
}

/* Each of the cell's four positions, 0 1 / 2 3, interpolated to its centre from its four samples: (3/4, 1/4) of the
   two nearest in each direction. */
inline float4 at_centre(const float4 *rows)
{
    float4 above = 0.75f * rows[1] + 0.25f * rows[3], below = 0.75f * rows[2] + 0.25f * rows[0];
    return (float4)(0.75f * above.y + 0.25f * above.w, 0.75f * above.z + 0.25f * above.x,
                    0.75f * below.y + 0.25f * below.w, 0.75f * below.z + 0.25f * below.x);
}

/* Red, the mean of green, and blue of the four positions. */
inline float3 of_colours(float4 four, int red)
{
    float4 ordered = red == 0 ? four : red == 1 ? four.yxwz : red == 2 ? four.zwxy : four.wzyx;
    return (float3)(ordered.x, 0.5f * (ordered.y + ordered.z), ordered.w);
}

inline float largest_of(float4 four)
{
    return fmax(fmax(four.x, four.y), fmax(four.z, four.w));
}

inline float smallest_of(float4 four)
{
    return fmin(fmin(four.x, four.y), fmin(four.z, four.w));
}

/* The largest of each colour's samples around a cell, from four rows of samples (cell_samples). */
inline float3 most_of_colours(const float4 *rows, int red)
{
    /* the middle rows and columns are 1 and 2: rows 1 and 3 have the positions 0, 1 */
    float4 above = fmax(rows[1], rows[3]), below = fmax(rows[0], rows[2]);
    float4 most = (float4)(fmax(above.y, above.w), fmax(above.x, above.z), fmax(below.y, below.w),
                           fmax(below.x, below.z));
    most = red == 0 ? most : red == 1 ? most.yxwz : red == 2 ? most.zwxy : most.wzyx;
    return (float3)(most.x, fmax(most.y, most.z), most.w);
}

/* The clipping of a cell's channels, that of their most clipped sample, and how mixed they are. */
inline float3 clipping_of_cell(const float4 *rows, int red, float4 black, float4 inverse, float start, float *mixed)
{
    float4 raw[4];
    for (int j = 0; j < 4; j++) {
        float4 level = j & 1 ? black.yxyx : black.wzwz, scale = j & 1 ? inverse.yxyx : inverse.wzwz;
        raw[j] = fmin((rows[j] - level) * scale, 1.0f);
    }
    float3 largest = most_of_colours(raw, red), clipped = smoothstep((float3)(start), (float3)(CLIPPED), largest);
    *mixed = mixing(clipped, largest, of_colours(at_centre(raw), red), MIXED);
    return clipped;
}

/* One 2x2 cell of a colour filter array (develop_bin) as raw values, and its clipping. */
inline float3 raw_cell(__global const VALUE *values, int width, int height, int red, float4 black, float4 inverse,
                       float start, int x, int y, float3 *clipped, float *mixed)
{
    float4 rows[4];
    cell_samples(values, width, height, x, y, rows);
    float4 most = fmax(fmax(rows[0], rows[1]), fmax(rows[2], rows[3]));
    *clipped = 0.0f;
    *mixed = 0.0f;
    if ((largest_of(most) - smallest_of(black)) * largest_of(inverse) > start) {
        float4 least = fmin(fmin(rows[0], rows[1]), fmin(rows[2], rows[3]));
        if ((smallest_of(least) - largest_of(black)) * smallest_of(inverse) >= CLIPPED)
            *clipped = 1.0f;
        else
            *clipped = clipping_of_cell(rows, red, black, inverse, start, mixed);
    }
    return of_colours((at_centre(rows) - black) * inverse, red);
}
#endif

/* A coordinate mirrored about the centres of the first and the last pixel, which keeps the position in the pattern. */
inline int mirror(int at, int size)
{
    if (size < 2)
        return 0;
    at = abs(at) % (2 * size - 2);
    return at < size ? at : 2 * size - 2 - at;
}

#ifdef KNEE
/* The curve on which colours are interpolated, of a number or a vector, and its inverse: a square root, in which noise
   has one size and colours differ alike in light and shade, smooth through 0, so that noise below black is kept. */
#define TO_ROOT(v) copysign(sqrt(fabs(v) + KNEE) - sqrt(KNEE), v)
#define FROM_ROOT(r) copysign((fabs(r) + sqrt(KNEE)) * (fabs(r) + sqrt(KNEE)) - KNEE, r)
#endif

/* Square roots of light plus its offset, in which noise is even; below the knee the tangent (denoise_roots). */
inline float3 even_root(float3 t, float3 knee)
{
    float3 above = fmax(t, knee), root = sqrt(above);
    return root + (t - above) * 0.5f / root;
}

#ifdef CFA_ROWS
/* The light of a stored value in one plane of the pattern (merge_light). */
inline float light_of(VALUE value, __global const float *curve, int plane)
{
#ifdef GAMMA_ENCODED
    return curve[convert_int(value)];
#else
    return (convert_float(value) - curve[2 * plane]) * curve[2 * plane + 1];
#endif
}
#endif

#ifdef DCT_SIDE
/* Blocks of 8 x 8 pixels (DCT_SIDE is 8), their frequencies, and how these are shrunk (denoise_shrink). */
#define EVEN 1.7f /* times the threshold, in blocks of noise alone */
#define EVEN_FROM 1.2f /* mean energy of a block over that of noise; noise alone is within 1 +- 0.18 */
#define EVEN_TO 2.0f

constant float WINDOW[DCT_SIDE] = {0.03806023f, 0.30865828f, 0.69134172f, 0.96193977f,
                                   0.96193977f, 0.69134172f, 0.30865828f, 0.03806023f};
#define C1 0.49039264f /* cos(k pi / 16) / 2 */
#define C2 0.46193977f
#define C3 0.41573481f
#define C4 0.35355339f
#define C5 0.27778512f
#define C6 0.19134172f
#define C7 0.09754516f

/* DCT-II of the columns of a block, orthonormal. */
inline void forward_dct(float8 *v)
{
    float8 s0 = v[0] + v[7], s1 = v[1] + v[6], s2 = v[2] + v[5], s3 = v[3] + v[4];
    float8 d0 = v[0] - v[7], d1 = v[1] - v[6], d2 = v[2] - v[5], d3 = v[3] - v[4];
    float8 a = s0 + s3, b = s1 + s2, c = s0 - s3, d = s1 - s2;
    v[0] = C4 * (a + b);
    v[4] = C4 * (a - b);
    v[2] = C2 * c + C6 * d;
    v[6] = C6 * c - C2 * d;
    v[1] = C1 * d0 + C3 * d1 + C5 * d2 + C7 * d3;
    v[3] = C3 * d0 - C7 * d1 - C1 * d2 - C5 * d3;
    v[5] = C5 * d0 - C1 * d1 + C7 * d2 + C3 * d3;
    v[7] = C7 * d0 - C5 * d1 + C3 * d2 - C1 * d3;
}

inline void inverse_dct(float8 *v)
{
    float8 a = C4 * (v[0] + v[4]), b = C4 * (v[0] - v[4]);
    float8 c = C2 * v[2] + C6 * v[6], d = C6 * v[2] - C2 * v[6];
    float8 s0 = a + c, s1 = b + d, s2 = b - d, s3 = a - c;
    float8 d0 = C1 * v[1] + C3 * v[3] + C5 * v[5] + C7 * v[7];
    float8 d1 = C3 * v[1] - C7 * v[3] - C1 * v[5] - C5 * v[7];
    float8 d2 = C5 * v[1] - C1 * v[3] + C7 * v[5] + C3 * v[7];
    float8 d3 = C7 * v[1] - C5 * v[3] + C3 * v[5] - C1 * v[7];
    v[0] = s0 + d0;
    v[7] = s0 - d0;
    v[1] = s1 + d1;
    v[6] = s1 - d1;
    v[2] = s2 + d2;
    v[5] = s2 - d2;
    v[3] = s3 + d3;
    v[4] = s3 - d3;
}

/* Three perfect shuffles of rows are a transposition. */
inline void transpose(float8 *v)
{
    for (int round = 0; round < 3; round++) {
        float8 t[DCT_SIDE];
        for (int i = 0; i < DCT_SIDE / 2; i++) {
            float8 a = v[i], b = v[i + DCT_SIDE / 2];
            t[2 * i] = (float8)(a.s0, b.s0, a.s1, b.s1, a.s2, b.s2, a.s3, b.s3);
            t[2 * i + 1] = (float8)(a.s4, b.s4, a.s5, b.s5, a.s6, b.s6, a.s7, b.s7);
        }
        for (int i = 0; i < DCT_SIDE; i++)
            v[i] = t[i];
    }
}

/* The frequencies of a block whose rows are `stride` apart. */
inline void frequencies_of(const float *pixels, int stride, float8 *block)
{
    for (int i = 0; i < DCT_SIDE; i++)
        block[i] = vload8(0, pixels + i * stride);
    forward_dct(block);
    transpose(block);
    forward_dct(block);
}

/* Adds the pixels of a block of frequencies, times the window in both directions; window is WINDOW. */
inline void add_windowed(float8 *block, float8 window, float *sum, int stride)
{
    inverse_dct(block);
    transpose(block);
    inverse_dct(block);
    for (int i = 0; i < DCT_SIDE; i++) {
        float *to = sum + i * stride;
        vstore8(vload8(0, to) + WINDOW[i] * window * block[i], 0, to);
    }
}

inline float sum_of_lanes(float8 v)
{
    float4 four = v.lo + v.hi;
    return (four.x + four.y) + (four.z + four.w);
}

/* Shrink the frequencies of a block, one across in each vector, and return the sum of (1 - F^2) v. noise
   times the variance is that of the noise. The constant frequency is kept. */
inline float shrink_block(float8 *block, const float8 *variance, const float8 *inverse_variance, float noise,
                    float threshold)
{
    float8 around[DCT_SIDE], all = 0.0f;
    for (int i = 0; i < DCT_SIDE; i++) {
        float8 e = block[i] * block[i] * inverse_variance[i] / noise;
        if (i == 0)
            e.s0 = 1.0f;
        all += e;
        around[i] = 2.0f * e + (float8)(e.s0, e.s0, e.s1, e.s2, e.s3, e.s4, e.s5, e.s6)
                    + (float8)(e.s1, e.s2, e.s3, e.s4, e.s5, e.s6, e.s7, e.s7);
    }
    float8 removed = 0.0f;
    threshold *= mix(EVEN, 1.0f, smoothstep(EVEN_FROM, EVEN_TO, sum_of_lanes(all) / (DCT_SIDE * DCT_SIDE)));
    for (int i = 0; i < DCT_SIDE; i++) {
        float8 energy = 2.0f * around[i] + around[max(i - 1, 0)] + around[min(i + 1, DCT_SIDE - 1)];
        float8 ratio = 16.0f * threshold / fmax(energy, 16e-9f);
        ratio *= ratio;
        float8 factor = fmax(1.0f - ratio * ratio, 0.0f);
        if (i == 0)
            factor.s0 = 1.0f;
        block[i] *= factor;
        removed += (1.0f - factor * factor) * variance[i];
    }
    return sum_of_lanes(removed);
}
#endif
