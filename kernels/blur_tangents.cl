/* Tangents of a pair's two paths at its two frames (Tabellion 2023, equation 7), in low pixels.

   Lines pull: in frame i an object's line towards the next frame is next = -motion; its line towards the previous
   frame, negated, is back = -motion too. The instantaneous flow of the two, theta the angle between them:

     flow(next, back) = (|back| next + |next| back) / (|next| + |back|) * theta / sin(theta) * f(theta)
     f = 1 up to a right angle, 1 - (2 theta / pi - 1)^4 beyond

   theta 0 -> their harmonic mean, theta -> pi: 0; equal lengths -> the speed along the circle through the three
   positions. Each path uses its own line for the pair; those of the pairs before and after it complete it:

     tangents(line) = flow(line, -previous), flow(following, line)

   previous and following are sampled at the object's position in the frame that both pairs share: on the line or an
   arc beside it, where the motion is most similar to the line's. Where there is none of at least MIN_LENGTH px, as
   at the ends of the burst, the path is extrapolated: with A, B, C = 0 its points two steps away, one step away and
   here, A' is A mirrored in the perpendicular bisector of BC, and the next point is A' min(1, |BC| / |A'|); without
   A it is -B. A line shorter than MIN_LENGTH stays straight: both tangents are it.

   Where the bend Q of a path is known, path(s) = s (line + (1 - s) Q) takes the place of extrapolation and of short
   straight paths: line + Q is the tangent at its start, line - Q at its end. */
#define MIN_LENGTH 0.5f
#define TAPS 64
/* Four times the height of those arcs, as a part of the chord: they turn by about 60 degrees. */
#define ARC_HEIGHT 0.5f
#define REVERSAL_RAD 1e-3f

inline float2 flow(float2 next, float2 back)
{
    float a = length(next), b = length(back);
    float2 mean = a + b > 0.0f ? (b * next + a * back) / (a + b) : (float2)(0.0f);
    float theta = atan2(fabs(next.x * back.y - next.y * back.x), dot(next, back));
    if (M_PI_F - theta < REVERSAL_RAD)
        return (float2)(0.0f);
    float past_90 = fmax(theta * M_2_PI_F - 1.0f, 0.0f);
    float fade = 1.0f - past_90 * past_90 * past_90 * past_90;
    return mean * (theta > REVERSAL_RAD ? theta / sin(theta) : 1.0f) * fade;
}

/* The line, of one frame of a pair, most similar to target along the chord from p and along an arc on either
   side of it; 0 where none is MIN_LENGTH long. */
inline float2 most_similar(__global const float *lines, int width, int height, float2 p, float2 chord,
                           float2 target)
{
    float2 best = 0.0f;
    float min_difference = INFINITY;
    int taps = clamp((int)ceil(length(chord)), 1, TAPS);
    for (int n = 0; n <= taps; n++) {
        float s = (float)n / taps;
        float2 offset = ARC_HEIGHT * s * (1.0f - s) * (float2)(-chord.y, chord.x);
        for (int side = -1; side <= 1; side++) {
            float2 at = p + s * chord + side * offset;
            int x = clamp((int)floor(at.x + 0.5f), 0, width - 1), y = clamp((int)floor(at.y + 0.5f), 0, height - 1);
            float2 line = vload2((size_t)y * width + x, lines);
            float difference = length(line - target);
            if (length(line) >= MIN_LENGTH && difference < min_difference) {
                best = line;
                min_difference = difference;
            }
        }
    }
    return best;
}

/* The point after C = 0 of a path through B = b and A = b + a. */
inline float2 extrapolate(float2 b, float2 a)
{
    if (a.x == 0.0f && a.y == 0.0f)
        return -b;
    float2 mirror = b + a - 2.0f * dot(0.5f * b + a, b) / dot(b, b) * b;
    return mirror * fmin(1.0f, length(b) / length(mirror));
}

/* Tangents of a path with this line, at its pair's first frame and at its second. Its bend is NaN if not known. */
inline float4 tangents(float2 line, float2 previous, float2 following, float2 bend)
{
    bool is_known = !isnan(bend.x);
    if (length(line) < MIN_LENGTH)
        return is_known ? (float4)(line + bend, line - bend) : (float4)(line, line);
    bool has_previous = any(previous != 0.0f), has_following = any(following != 0.0f);
    float2 back = has_previous ? -previous : -extrapolate(line, following);
    float2 next = has_following ? following : extrapolate(-line, previous);
    float2 start = is_known && !has_previous ? line + bend : flow(line, back);
    float2 end = is_known && !has_following ? line - bend : flow(next, line);
    return (float4)(start, end);
}

/* before, lines, after, bends: 2 h w 2; the scales are this pair's duration over that of the pairs before and
   after, 0 where there is no such pair. Bends are not known where they are NaN, and without has_bends. result
   2 h w 4: per path its tangents at its start and at its end. */
__kernel void blur_tangents(__global const float *before, __global const float *lines,
                            __global const float *after, __global const float *bends, __global float *result,
                            int width, int height, float before_scale, float after_scale, int has_bends)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    int at = y * width + x, size = width * height;
    float2 p = (float2)(x, y), first = vload2(at, lines), second = vload2(size + at, lines);
    float2 previous = 0.0f, following = 0.0f;
    if (length(first) >= MIN_LENGTH && before_scale > 0.0f)
        previous = before_scale
                 * most_similar(before + 2 * (size_t)size, width, height, p, first, -first / before_scale);
    if (length(second) >= MIN_LENGTH && after_scale > 0.0f)
        following = after_scale * most_similar(after, width, height, p, second, -second / after_scale);
    float2 first_bend = has_bends ? vload2(at, bends) : (float2)(NAN);
    float2 second_bend = has_bends ? vload2(size + at, bends) : (float2)(NAN);
    vstore4(tangents(first, previous, following, first_bend), at, result);
    vstore4(-tangents(-second, previous, following, second_bend).zwxy, size + at, result);
}
