/* How fast and which way a pair's two paths run at its two frames (Tabellion 2023, equation 7), low pixels.

   Lines pull: in frame i a thing's line towards the next frame is next = -motion, its line towards the frame
   before, negated, is back = -motion too. Instantaneous flow of the two, theta the angle between them:

     flow(next, back) = (|back| next + |next| back) / (|next| + |back|) * theta / sin(theta) * f(theta)
     f = 1 up to a right angle, 1 - (2 theta / pi - 1)^4 beyond

   theta 0 -> their harmonic mean, theta -> pi: 0; equal lengths -> the speed along the circle through the three
   places. Each path takes its own line for the pair; the pairs before and after lend theirs:

     tangents(line) = flow(line, -towards), flow(onwards, line)

   towards and onwards are read where the thing lies in the frame that both pairs share: somewhere along the
   line or an arc over it, at the place whose motion is most like the line's. Where there is none of at least LEAST px, as at the
   ends of the burst, the path is carried on: with A, B, C = 0 its points two steps away, one step away and
   here, A' is A mirrored in the perpendicular bisector of BC, and the next point is
   A' min(1, |BC| / |A'|); without A it is -B. A line shorter than LEAST stays straight: both tangents are it. */
#define LEAST 0.5f
#define TAPS 64
/* Four times the height of those arcs, of the way: they turn by about 60 degrees. */
#define ASIDE 0.5f
#define TURNED_BACK 1e-3f

inline float2 flow(float2 next, float2 back)
{
    float a = length(next), b = length(back);
    float2 mean = a + b > 0.0f ? (b * next + a * back) / (a + b) : (float2)(0.0f);
    float theta = atan2(fabs(next.x * back.y - next.y * back.x), dot(next, back));
    if (M_PI_F - theta < TURNED_BACK)
        return (float2)(0.0f);
    float beyond = fmax(theta * M_2_PI_F - 1.0f, 0.0f);
    float fade = 1.0f - beyond * beyond * beyond * beyond;
    return mean * (theta > TURNED_BACK ? theta / sin(theta) : 1.0f) * fade;
}

/* The line, of one frame of a pair, that is most like `like`, along `way` from p and along arcs to either side
   of it; 0 where none is LEAST long. */
inline float2 alike(__global const float *lines, int width, int height, float2 p, float2 way, float2 like)
{
    float2 best = 0.0f;
    float least = INFINITY;
    int taps = clamp((int)ceil(length(way)), 1, TAPS);
    for (int n = 0; n <= taps; n++) {
        float s = (float)n / taps;
        float2 aside = ASIDE * s * (1.0f - s) * (float2)(-way.y, way.x);
        for (int side = -1; side <= 1; side++) {
            float2 at = p + s * way + side * aside;
            int x = clamp((int)floor(at.x + 0.5f), 0, width - 1), y = clamp((int)floor(at.y + 0.5f), 0, height - 1);
            float2 line = vload2((size_t)y * width + x, lines);
            float miss = length(line - like);
            if (length(line) >= LEAST && miss < least) {
                best = line;
                least = miss;
            }
        }
    }
    return best;
}

/* The point after C = 0 of a path through B = b and A = b + a. */
inline float2 carried_on(float2 b, float2 a)
{
    if (a.x == 0.0f && a.y == 0.0f)
        return -b;
    float2 mirrored = b + a - 2.0f * dot(0.5f * b + a, b) / dot(b, b) * b;
    return mirrored * fmin(1.0f, length(b) / length(mirrored));
}

/* The tangents of a path along `line`, at its pair's first frame and at its second. */
inline float4 tangents(float2 line, float2 towards, float2 onwards)
{
    if (length(line) < LEAST)
        return (float4)(line, line);
    bool comes = any(towards != 0.0f), goes = any(onwards != 0.0f);
    float2 back = comes ? -towards : -carried_on(line, onwards);
    float2 next = goes ? onwards : carried_on(-line, towards);
    return (float4)(flow(line, back), flow(next, line));
}

/* before, lines, after: 2 h w 2, those of the pairs around scaled by the ratio of the pairs' durations; a scale
   of 0: there is no such pair. result 2 h w 4: per path its tangent where it begins, then where it ends. */
__kernel void blur_tangents(__global const float *before, __global const float *lines,
                            __global const float *after, __global float *result, int width, int height,
                            float before_scale, float after_scale)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    int at = y * width + x, size = width * height;
    float2 p = (float2)(x, y), first = vload2(at, lines), second = vload2(size + at, lines);
    float2 towards = 0.0f, onwards = 0.0f;
    if (length(first) >= LEAST && before_scale > 0.0f)
        towards = before_scale * alike(before + 2 * (size_t)size, width, height, p, first, -first / before_scale);
    if (length(second) >= LEAST && after_scale > 0.0f)
        onwards = after_scale * alike(after, width, height, p, second, -second / after_scale);
    vstore4(tangents(first, towards, onwards), at, result);
    vstore4(-tangents(-second, towards, onwards).zwxy, size + at, result);
}
