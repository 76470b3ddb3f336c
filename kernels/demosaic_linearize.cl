/* A band of rows of a colour filter array with PAD pixels on every side: black subtracted, white balanced, clipped
   samples rebuilt, and transformed by the curve on which colours are interpolated:

       curve(v) = sign(v) * (sqrt(|v| + KNEE) - sqrt(KNEE)),   v = (value - black) * inverse * balance.

   A square root turns ratios of colours into differences and gives shot noise the same size everywhere; the knee
   keeps the curve smooth through 0, so that noise below black is preserved. Pixels outside the picture are
   mirrored about the centre of the edge pixel, which preserves their position in the pattern. black and gain
   (inverse * balance) hold one value for each position of the pattern, 0 1 / 2 3; red is red's. The band's top left
   pixel is (-PAD, top).

   A sample that is clipped by k in 0..1 becomes (1 - k) v + k max(v, l): l is its colour of unclipped_light of the
   3x3 samples around, the mean of each colour's weighted (1 2 1) x (1 2 1), as clipped as its most clipped sample.
   Without that, interpolation would carry the wrong colour of a clipped area several pixels beyond its edge. */

inline float of_position(float4 four, int x, int y)
{
    float2 row = y & 1 ? four.zw : four.xy;
    return x & 1 ? row.y : row.x;
}

/* The colour of a position as 1 in one of three channels. */
inline float3 colour_at(int x, int y, int red)
{
    bool red_row = (y & 1) == red >> 1, red_column = (x & 1) == (red & 1);
    return red_row != red_column ? (float3)(0, 1, 0) : red_row ? (float3)(1, 0, 0) : (float3)(0, 0, 1);
}

/* The balanced light of the sample at (x, y), whose balanced value v is clipped by `clipped`, rebuilt. */
inline float rebuilt_sample(__global const VALUE *values, __global const float *rim, int width, int height, int x, int y,
                            float v, float clipped, int red, float4 black, float4 gain, float16 colour,
                            int rim_columns, int rim_rows)
{
    float3 sum = 0.0f, total = 0.0f, largest = 0.0f; /* largest: raw value of each colour */
    for (int j = -1; j <= 1; j++)
        for (int i = -1; i <= 1; i++) {
            int at_x = mirror(x + i, width), at_y = mirror(y + j, height);
            float3 mine = colour_at(at_x, at_y, red), weight = mine * (float)((2 - abs(i)) * (2 - abs(j)));
            float value = convert_float(values[(size_t)at_y * width + at_x]) - of_position(black, at_x, at_y);
            float raw = value * of_position(gain, at_x, at_y) / dot(mine, colour.s012);
            sum += weight * fmin(raw, 1.0f);
            total += weight;
            largest = fmax(largest, mine * raw);
        }
    float4 hue = sample_rim(rim, rim_columns, rim_rows, 0.5f * x - 0.25f, 0.5f * y - 0.25f);
    float3 mine = colour_at(x, y, red);
    float3 clips = smoothstep((float3)(colour.s3), (float3)(CLIPPED), largest);
    clips += mine * (clipped - clips);
    float light = dot(mine, unclipped_light(sum / fmax(total, 1.0f), clips, hue, colour));
    return (1.0f - clipped) * v + clipped * fmax(v, light);
}

__kernel void demosaic_linearize(__global const VALUE *values, __global const float *rim, __global float *band,
                                 int width, int height, int top, int rows, int red, float4 black, float4 gain,
                                 float16 colour, int rim_columns, int rim_rows)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width + 2 * PAD || y >= rows)
        return;
    int source_x = mirror(x - PAD, width), source_y = mirror(y + top, height);
    float level = of_position(black, source_x, source_y), scale = of_position(gain, source_x, source_y);
    float v = (convert_float(values[(size_t)source_y * width + source_x]) - level) * scale;
    if (v > colour.s3) { /* white balance gains are at least 1 */
        float white = dot(colour_at(source_x, source_y, red), colour.s012);
        float clipped = smoothstep(colour.s3, CLIPPED, v / white);
        if (clipped > 0.0f)
            v = rebuilt_sample(values, rim, width, height, source_x, source_y, fmin(v, white), clipped, red, black,
                               gain, colour, rim_columns, rim_rows);
    }
    band[(size_t)y * (width + 2 * PAD) + x] = TO_ROOT(v);
}
