/* Stored values to square roots of white-balanced light, as half floats, not a number where a sample is clipped:

       root = sign(v) * (sqrt(|v| + KNEE) - sqrt(KNEE)),   v = light * balance,   NaN where light >= clip.

   Light is that of merge_light; balance has one gain for each position of the pattern. The curve is that of the
   demosaic: differences of colours are smooth on it, and noise has one size. What is not a number spreads by itself
   to all that is interpolated from a clipped sample. roots is H W for a colour filter array, else three planes H W.

   A work-item computes 8 values of a row. */
inline float of_position(float4 four, int position)
{
    float2 row = position & 2 ? four.zw : four.xy;
    return position & 1 ? row.y : row.x;
}

__kernel void merge_root(__global const VALUE *values, __global const float *curve, __global half *roots, int width,
                         int height, float4 balance, float clip)
{
    int first = 8 * get_global_id(0), y = get_global_id(1);
    if (first >= width || y >= height)
        return;
    size_t row = (size_t)y * width;
#if CFA_ROWS == 2 && !defined(GAMMA_ENCODED)
    if (first + 8 <= width) {
        int left = 2 * (y & 1), right = left + 1;
        float8 value = (float8)(values[row + first], values[row + first + 1], values[row + first + 2],
                                values[row + first + 3], values[row + first + 4], values[row + first + 5],
                                values[row + first + 6], values[row + first + 7]);
        float8 light, v;
        light.even = (value.even - curve[2 * left]) * curve[2 * left + 1];
        light.odd = (value.odd - curve[2 * right]) * curve[2 * right + 1];
        v.even = light.even * of_position(balance, left);
        v.odd = light.odd * of_position(balance, right);
        vstore_half8(select((float8)(NAN), TO_ROOT(v), light < clip), 0, roots + row + first);
        return;
    }
#endif
    for (int x = first; x < min(first + 8, width); x++) {
        size_t at = row + x;
        int plane = (y % CFA_ROWS) * CFA_COLUMNS + x % CFA_COLUMNS;
        float light = light_of(values[at], curve, plane), v = light * of_position(balance, plane);
#if CFA_ROWS == 1
        at = ((size_t)plane * height + y) * (width / 3) + x / 3;
#endif
        vstore_half(light < clip ? TO_ROOT(v) : NAN, at, roots);
    }
}
