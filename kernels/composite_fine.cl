/* Texture of the sensor's own pixels in every low pixel: what binning, at another place, would have shown otherwise.

     g = sqrt(max(raw, 0) gain + black),   fine = mean (g(x, y) - g(x +- 1, y + 1))^2

   over the scale x scale full pixels of a low pixel, or those inside the picture. Of a colour filter array (green is
   0 or 1) the pixels with (x + y) & 1 = green count, its green ones, whose diagonal neighbours are green as well;
   of a picture with three colours a pixel (green is -1) all, and raw is their mean. raw = (value - black level)
   * inverse, with the levels of the pattern's four positions; of a picture it is read from its table, as in
   develop_bin_rgb. No such pair -> 0. */
inline float root_raw(__global const VALUE *values, __global const float *curve, int width, int x, int y, int green,
                      float4 level, float4 inverse, float gain, float black)
{
    float raw;
    if (green < 0) {
        size_t at = ((size_t)y * width + x) * 3;
#ifdef MERGED
        raw = (values[at] + values[at + 1] + values[at + 2]) / 3.0f;
#else
        raw = (curve[values[at]] + curve[LEVELS + values[at + 1]] + curve[2 * LEVELS + values[at + 2]]) / 3.0f;
#endif
    } else {
        int position = (x & 1) + 2 * (y & 1);
        float4 is_here = (float4)(position == 0, position == 1, position == 2, position == 3);
        raw = (convert_float(values[(size_t)y * width + x]) - dot(level, is_here)) * dot(inverse, is_here);
    }
    return sqrt(fmax(raw, 0.0f) * gain + black);
}

__kernel void composite_fine(__global const VALUE *values, __global const float *curve, __global float *fine,
                             int width, int height, int low_width, int low_height, int scale, int green,
                             float4 level, float4 inverse, float gain, float black)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= low_width || y >= low_height)
        return;
    int right = min((x + 1) * scale, width), bottom = min((y + 1) * scale, height - 1);
    float sum = 0.0f;
    int count = 0;
    for (int j = y * scale; j < bottom; j++)
        for (int i = x * scale; i < right; i++) {
            if (green >= 0 && ((i + j) & 1) != green)
                continue;
            float here = root_raw(values, curve, width, i, j, green, level, inverse, gain, black);
            for (int n = max(i - 1, 0); n <= min(i + 1, width - 1); n++) {
                if (n == i)
                    continue;
                float d = root_raw(values, curve, width, n, j + 1, green, level, inverse, gain, black) - here;
                sum += d * d;
                count++;
            }
        }
    fine[(size_t)y * low_width + x] = count > 0 ? sum / count : 0.0f;
}
