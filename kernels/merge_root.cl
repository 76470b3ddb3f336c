/* Stored values to square roots of white-balanced light, as half floats, not a number where a sample is clipped:

       root = sign(v) * (sqrt(|v| + KNEE) - sqrt(KNEE)),   v = light * balance,   NaN where light >= clip.

   Light is that of merge_light; balance has one gain for each position of the pattern. The curve is that of the
   demosaic: differences of colours are smooth on it, and noise has one size. What is not a number spreads by itself
   to all that is interpolated from a clipped sample. roots is H W for a colour filter array, else three planes H W. */
__kernel void merge_root(__global const VALUE *values, __global const float *curve, __global half *roots, int width,
                         int height, float4 balance, float clip)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t at = (size_t)y * width + x;
    int plane = (y % CFA_ROWS) * CFA_COLUMNS + x % CFA_COLUMNS;
#ifdef GAMMA_ENCODED
    float light = curve[convert_int(values[at])];
#else
    float light = (convert_float(values[at]) - curve[2 * plane]) * curve[2 * plane + 1];
#endif
    float2 row = plane & 2 ? balance.zw : balance.xy;
    float v = light * (plane & 1 ? row.y : row.x);
#if CFA_ROWS == 1
    at = ((size_t)plane * height + y) * (width / 3) + x / 3;
#endif
    float root = copysign(sqrt(fabs(v) + KNEE) - sqrt(KNEE), v);
    vstore_half(light < clip ? root : NAN, at, roots);
}
