/* A band of rows of a colour filter array with PAD pixels on every side: black subtracted, white balanced, and
   transformed by the curve on which colours are interpolated:

       curve(v) = sign(v) * (sqrt(|v| + KNEE) - sqrt(KNEE)),   v = (value - black) * inverse * balance.

   A square root turns ratios of colours into differences and gives shot noise the same size everywhere; the knee
   keeps the curve smooth through 0, so that noise below black is preserved. Pixels outside the picture are
   mirrored about the centre of the edge pixel, which preserves their position in the pattern. black and gain
   (inverse * balance) hold one value for each position of the pattern, 0 1 / 2 3. The band's top left pixel is
   (-PAD, top). */

inline int mirror(int at, int size)
{
    if (size < 2)
        return 0;
    at = abs(at) % (2 * size - 2);
    return at < size ? at : 2 * size - 2 - at;
}

__kernel void demosaic_linearize(__global const VALUE *values, __global float *band, int width, int height,
                                 int top, int rows, float4 black, float4 gain)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width + 2 * PAD || y >= rows)
        return;
    int source_x = mirror(x - PAD, width), source_y = mirror(y + top, height);
    float2 blacks = source_y & 1 ? black.zw : black.xy, gains = source_y & 1 ? gain.zw : gain.xy;
    float level = source_x & 1 ? blacks.y : blacks.x, scale = source_x & 1 ? gains.y : gains.x;
    float v = (convert_float(values[(size_t)source_y * width + source_x]) - level) * scale;
    band[(size_t)y * (width + 2 * PAD) + x] = copysign(sqrt(fabs(v) + KNEE) - sqrt(KNEE), v);
}
