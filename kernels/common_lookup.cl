/* A half-resolution pixel's lines, tangents and weight, looked up in the low grid, and what it is compared by.

   Lines, tangents and weights are bilinear between the four low cells around p. Where a guide is given
   (blur_guide) and lines around differ, they follow the edges of the picture instead, by joint bilateral
   upsampling (Kopf 2007, doi:10.1145/1276377.1276497) over the 4 x 4 cells q around p:

     line(p) = sum_q b(|p - q| / 2) r(d_q) line(q) / sum_q b r
     b(t) = (1 - t^2)^2 for t < 1, else 0,   r(d) = (1 + d^2 / ALIKE^2)^-2

   d_q^2 sums over both frames' colours the squared difference of the pixel's and the cell's, square-rooted:
   the cell most like p has nearly all the weight, whatever the contrast; where none stands out by more than
   ALIKE, b alone decides. Differences to the nearest cell are summed, so equal lines come out exactly. */

/* Difference in square-rooted light, under soft gamma, below which a pixel and a low cell are alike. */
#define ALIKE 0.04f

/* Where a half-resolution pixel lies between four of the low grid, edges clamped. */
typedef struct { int a, b, c, d; float u, v; } Spot;

inline Spot spot(int width, int height, float x, float y)
{
    x = clamp(x, 0.0f, width - 1.0f);
    y = clamp(y, 0.0f, height - 1.0f);
    int x0 = (int)x, y0 = (int)y, x1 = min(x0 + 1, width - 1), y1 = min(y0 + 1, height - 1);
    Spot spot = { y0 * width + x0, y0 * width + x1, y1 * width + x0, y1 * width + x1, x - x0, y - y0 };
    return spot;
}

inline float4 between(Spot spot, float4 a, float4 b, float4 c, float4 d)
{
    float4 top = a + spot.u * (b - a), bottom = c + spot.u * (d - c);
    return top + spot.v * (bottom - top);
}

/* A pixel's two lines, the tangents of each, and the first frame's weight; lengths in low pixels. In arrays of
   low cells, the second frame's lines and tangents lie `second` cells after the first's. */
typedef struct { float4 line, early, late; float weight; } Motion;

/* Bilinear between a pixel's four cells, the tangents left out: what does not move needs none. */
inline Motion pull_motion(__global const float *lines, __global const float *weight, int second, Spot s)
{
    float top = weight[s.a] + s.u * (weight[s.b] - weight[s.a]);
    float bottom = weight[s.c] + s.u * (weight[s.d] - weight[s.c]);
    float4 line = between(s, (float4)(vload2(s.a, lines), vload2(second + s.a, lines)),
                          (float4)(vload2(s.b, lines), vload2(second + s.b, lines)),
                          (float4)(vload2(s.c, lines), vload2(second + s.c, lines)),
                          (float4)(vload2(s.d, lines), vload2(second + s.d, lines)));
    Motion motion = { line, 0.0f, 0.0f, top + s.v * (bottom - top) };
    return motion;
}

inline float4 pull_ends(__global const float *ends, Spot s)
{
    return between(s, vload4(s.a, ends), vload4(s.b, ends), vload4(s.c, ends), vload4(s.d, ends));
}

/* A pixel's light in one frame, in the other where that knows nothing, 0 where neither does; w = 0. */
inline float4 light_of(float4 here, float4 there)
{
    float4 light = here.w > 0.0f ? here / here.w : there.w > 0.0f ? there / there.w : (float4)(0.0f);
    light.w = 0.0f;
    return light;
}

/* The same, square-rooted: what pixels and low cells are compared by. */
inline float4 look_of(float4 here, float4 there)
{
    return sqrt(fmax(light_of(here, there), 0.0f));
}

/* Of the colours alone. */
inline float square(float4 v)
{
    return v.x * v.x + v.y * v.y + v.z * v.z;
}

/* The mean of the cells around (x, y) by distance and by likeness to the colours one and two. */
inline Motion along_edges(__global const float *lines, __global const float *ends,
                          __global const float *weight, __global const half *guide, int width, int height,
                          float x, float y, int nearest, float4 one, float4 two)
{
    int second = width * height, left = (int)floor(x) - 1, top = (int)floor(y) - 1;
    Motion base = { (float4)(vload2(nearest, lines), vload2(second + nearest, lines)), vload4(nearest, ends),
                    vload4(second + nearest, ends), weight[nearest] };
    float4 line = 0.0f, early = 0.0f, late = 0.0f;
    float total = 0.0f, share = 0.0f;
    for (int j = max(top, 0); j <= min(top + 3, height - 1); j++)
        for (int i = max(left, 0); i <= min(left + 3, width - 1); i++) {
            float near = fmax(1.0f - 0.25f * ((i - x) * (i - x) + (j - y) * (j - y)), 0.0f);
            if (near == 0.0f)
                continue;
            int cell = j * width + i;
            float unlike = square(vload_half4(2 * cell, guide) - one)
                         + square(vload_half4(2 * cell + 1, guide) - two);
            float like = near / (1.0f + unlike / (ALIKE * ALIKE)), w = like * like;
            total += w;
            line += w * ((float4)(vload2(cell, lines), vload2(second + cell, lines)) - base.line);
            early += w * (vload4(cell, ends) - base.early);
            late += w * (vload4(second + cell, ends) - base.late);
            share += w * (weight[cell] - base.weight);
        }
    float part = 1.0f / total;
    Motion motion = { base.line + part * line, base.early + part * early, base.late + part * late,
                      base.weight + part * share };
    return motion;
}
