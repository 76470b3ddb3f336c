/* All three colours of the band's inner pixels, with the curve of demosaic_linearize inverted, as working-space
   light.

   chroma holds green minus the measured colour at red and blue pixels. Green is measured + chroma, or the measured
   value at green pixels. A missing difference is interpolated from those of its colour: at pixels of the other
   colour by the 7x7 filter of Pekkucuksen and Altunbasak 2010 (equation 8: 10/32 for the four diagonal neighbours,
   -1/32 for the eight next ones), at green pixels as the mean of the four neighbours' differences,
   measured or interpolated. The measured colour is kept. The inverse of the
   curve is sign(c) * ((|c| + sqrt(KNEE))^2 - KNEE). Clipping is judged by measured samples, not by interpolated values,
   which are unreliable next to clipped ones: the measured colour is as clipped as its sample, another one as the
   most clipped of its samples in the 3x3 pixels around. How mixed the light is (faded_light, mixing) is told by these
   samples, too, their means weighted (1 2 1) x (1 2 1). Where all nine are below the start of clipping, the clipping is
   0. `rim` holds rim colours (sample_rim).

   With MERGED, the light is averaged with that of displaced frames (merge_add.cl):

       mean = ((1 + own) * balanced + total) / (1 + own + others),   own, others = counts of the pixel's cell,
   apart is even_root(exposure * measured + offset) less that of the mean, in the measured colour, 0 where light is
   clipped: what the reference shows more than the mean, for demosaic_detail. */

inline float filter_7x7(__global const float *chroma, size_t at, int width)
{
    float close = chroma[at - width - 1] + chroma[at - width + 1] + chroma[at + width - 1]
                + chroma[at + width + 1];
    float wide = chroma[at - 3 * width - 1] + chroma[at - 3 * width + 1] + chroma[at + 3 * width - 1]
               + chroma[at + 3 * width + 1] + chroma[at - width - 3] + chroma[at - width + 3]
               + chroma[at + width - 3] + chroma[at + width + 3];
    return (10.0f * close - wide) / 32.0f;
}

/* Clipping 0..1 of red, green and blue at a pixel, and in w how mixed it is; odd_row, odd_column: not red's row,
   not its column. */
inline float4 clipping(__global const float *band, size_t at, int width, int odd_row, int odd_column,
                       float16 colour)
{
    float brightest = band[at], darkest = band[at];
    for (int j = -1; j <= 1; j++)
        for (int i = -1; i <= 1; i++) {
            brightest = fmax(brightest, band[at + j * width + i]);
            darkest = fmin(darkest, band[at + j * width + i]);
        }
    if (FROM_ROOT(brightest) <= colour.s3) /* white balance gains are at least 1 */
        return (float4)(0.0f);
    if (FROM_ROOT(darkest) >= CLIPPED * colour.sb)
        return (float4)(1.0f, 1.0f, 1.0f, 0.0f);
    float3 sum = 0.0f, total = 0.0f, largest = 0.0f, own = 0.0f;
    for (int j = -1; j <= 1; j++)
        for (int i = -1; i <= 1; i++) {
            int row = (odd_row + j) & 1, column = (odd_column + i) & 1;
            float3 mine = row != column ? (float3)(0, 1, 0) : row ? (float3)(0, 0, 1) : (float3)(1, 0, 0);
            float raw = fmin(FROM_ROOT(band[at + j * width + i]) / dot(mine, colour.s012), 1.0f);
            float3 weight = mine * (float)((2 - abs(i)) * (2 - abs(j)));
            sum += weight * raw;
            total += weight;
            largest = fmax(largest, mine * raw);
            own = i == 0 && j == 0 ? mine : own;
        }
    float3 clipped = smoothstep((float3)(colour.s3), (float3)(CLIPPED), largest);
    float measured = smoothstep(colour.s3, CLIPPED, FROM_ROOT(band[at]) / dot(own, colour.s012));
    return (float4)(clipped + own * (measured - clipped), mixing(clipped, largest, sum / total, MIXED_PIXELS));
}

__kernel void demosaic_interpolate(__global const float *band, __global const float *chroma,
                                   __global const float *rim, __global const float *total, __global const float *counts,
                                   __global float *light, __global half *apart, float16 roots, int width, int first, int rows, int red_x, int red_y,
                                   float16 colour, int rim_columns, int rim_rows, int total_columns, int total_rows)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= rows)
        return;
    int padded = width + 2 * PAD, px = x + PAD, py = y + PAD;
    size_t at = (size_t)py * padded + px;
    float measured = band[at], green, to_red, to_blue;
    bool red_row = !((py ^ red_y) & 1), red_column = !((px ^ red_x) & 1);
    if (red_row == red_column) {
        float mine = chroma[at], other = filter_7x7(chroma, at, padded);
        green = measured + mine;
        to_red = red_row ? mine : other;
        to_blue = red_row ? other : mine;
    } else {
        float row = 0.25f * (chroma[at - 1] + chroma[at + 1] + filter_7x7(chroma, at - padded, padded)
                             + filter_7x7(chroma, at + padded, padded));
        float column = 0.25f * (chroma[at - padded] + chroma[at + padded] + filter_7x7(chroma, at - 1, padded)
                                + filter_7x7(chroma, at + 1, padded));
        green = measured;
        to_red = red_row ? row : column;
        to_blue = red_row ? column : row;
    }
    float3 balanced = (float3)(FROM_ROOT(green - to_red), FROM_ROOT(green), FROM_ROOT(green - to_blue));
#ifdef MERGED
    float differs = 0.0f;
    size_t cell = (size_t)(first + y) / 2 * (total_columns / 2) + x / 2;
    size_t plane = (size_t)total_columns * total_rows, pixel = (size_t)(first + y) * total_columns + x;
    float own = 1.0f + counts[cell], others = counts[plane / 4 + cell];
    float3 sum = (float3)(total[pixel], total[plane + pixel], total[2 * plane + pixel]);
    if (others > 0.0f) {
        float3 mean = (own * balanced + sum) / (own + others);
        float3 more = even_root(colour.s7 * balanced + roots.s37b, roots.scde)
                    - even_root(colour.s7 * mean + roots.s37b, roots.scde);
        differs = red_row != red_column ? more.y : red_row ? more.x : more.z;
        balanced = mean;
    }
#endif
    float4 clipped = clipping(band, at, padded, !red_row, !red_column, colour);
    bool is_clipped = fmax(clipped.x, fmax(clipped.y, clipped.z)) > 0.0f;
#ifdef MERGED
    vstore_half(is_clipped ? 0.0f : differs, (size_t)(first + y) * width + x, apart);
#endif
    float4 hue = is_clipped ? sample_rim(rim, rim_columns, rim_rows, 0.5f * x - 0.25f, 0.5f * (first + y) - 0.25f)
                            : (float4)(0.0f);
    vstore3(faded_light(balanced, clipped.xyz, clipped.w, hue, colour), (size_t)(first + y) * width + x, light);
}
