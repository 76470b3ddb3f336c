/* A band of rows of a colour filter array, with PAD pixels all round, levelled and put on the curve in which
   colours are interpolated:

       curve(v) = sign(v) * (sqrt(|v| + KNEE) - sqrt(KNEE)),   v = (value - black) * inverse * balance.

   A square root makes ratios of colours behave like differences and gives shot noise the same size everywhere;
   the knee keeps it smooth through 0, so that noise below black stays. Pixels beyond the picture mirror those
   inside about the edge pixel's centre, which keeps their place in the pattern. black and gain (inverse *
   balance) hold one value a position of the pattern, 0 1 / 2 3. (left, top) of the band is (-PAD, top). */

inline int mirrored(int at, int size)
{
    if (size < 2)
        return 0;
    at = abs(at) % (2 * size - 2);
    return at < size ? at : 2 * size - 2 - at;
}

__kernel void develop_level(__global const VALUE *values, __global float *band, int width, int height, int top,
                            int rows, float4 black, float4 gain)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width + 2 * PAD || y >= rows)
        return;
    int from_x = mirrored(x - PAD, width), from_y = mirrored(y + top, height);
    float2 blacks = from_y & 1 ? black.zw : black.xy, gains = from_y & 1 ? gain.zw : gain.xy;
    float level = from_x & 1 ? blacks.y : blacks.x, scale = from_x & 1 ? gains.y : gains.x;
    float v = (convert_float(values[(size_t)from_y * width + from_x]) - level) * scale;
    band[(size_t)y * (width + 2 * PAD) + x] = copysign(sqrt(fabs(v) + KNEE) - sqrt(KNEE), v);
}
