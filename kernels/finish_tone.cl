/* Scene light to display values: one tone curve applied to a norm of the pixel instead of to each channel.

     c = g + M (v - g), times gain           working space to the display's primaries; g = v.y; rows of M sum to 1
     c = 2^clamp(a log2(max c) + b, low_ev, high_ev) c
                                             local exposure: a, b are the cells' lines (finish_fit), bilinear
     Y = luminance of c, n = max c           the norm: mapped to below 1 it leaves no channel above 1
     y, k = curve(n), chroma(n)              y display light in 0..1; k the part of chroma kept: 1 in the shadows,
                                             towards 0 far above white, so that lights clip to white
     c = Y + saturation (c - Y)
     c = y + k (c y/n - y)                   mixed with the grey that has the norm's brightness
     c = c+ + q c-                           c+, c- its positive and negative channels; q <= 1 so that the
                                             luminance of c is LEAST_LUMINANCE of that of c+ or more
     c = Y' + f(d)/d (c - Y')                Y' = luminance of c, d = distance of c from Y', 1 at the gamut's edge;
                                             f(d) = d up to the knee k, then k + (1 - k) u/(1 + u) < 1,
                                             u = (d - k)/(1 - k)
     out = encode(c), luma = L . out         as 16-bit integers

   Channels are negative where a light is more saturated than the display's primaries, as that of a blue LED. Its
   luminance may then be next to none, or below 0, and the grey it is compressed towards would be black.

   Extremes: equal channels in, equal channels out, exactly; 0 gives 0; output is in 0..1; NaN gives black.
   A work-item computes RUN pixels of a row as vectors: on a CPU that is several times as fast as one pixel.
   Tables are indexed by sqrt(n / top), linear between entries. Colours desaturate along lines to white, which
   keep the dominant wavelength (CIE 15:2018, section 9.4). */

#define RUN 8
#define CELL 4  /* pixels: RUN / CELL is whole */

constant float FLOOR = 0x1p-14f;  /* light; that of finish_cells */
constant float MAX_LIGHT = 65504.0f;  /* the largest half float; light is clamped to it */
constant float LEAST_LUMINANCE = 0.75f;

typedef struct { float8 r, g, b; } colour8;

inline float8 min_channel(colour8 c) { return min(c.r, min(c.g, c.b)); }
inline float8 max_channel(colour8 c) { return max(c.r, max(c.g, c.b)); }

/* Differences from green through a matrix whose rows sum to 1: grey in is the same grey out, exactly. */
inline colour8 convert_primaries(__global const float *m, colour8 v)
{
    float8 r = v.r - v.g, b = v.b - v.g;
    colour8 c = {v.g + m[0] * r + m[2] * b, v.g + m[3] * r + m[5] * b, v.g + m[6] * r + m[8] * b};
    return c;
}

inline float8 luminance_of(__global const float *luminance, colour8 c)
{
    return c.g + luminance[0] * (c.r - c.g) + luminance[2] * (c.b - c.g);
}

inline colour8 scale(float8 factor, colour8 c)
{
    colour8 scaled = {factor * c.r, factor * c.g, factor * c.b};
    return scaled;
}

/* Linear mix with grey: strength 1 keeps the colour, 0 is grey. */
inline colour8 mix_with(float8 grey, float8 strength, colour8 c)
{
    colour8 moved = {grey + strength * (c.r - grey), grey + strength * (c.g - grey), grey + strength * (c.b - grey)};
    return moved;
}

inline float8 look_up(__global const float *table, int last, float8 t)
{
    float8 at = min(t, 1.0f) * last;
    int8 below = min(convert_int8(at), last - 1);
    int index[RUN];
    vstore8(below, 0, index);
    float first[RUN], second[RUN];
    for (int i = 0; i < RUN; i++) {
        first[i] = table[index[i]];
        second[i] = table[index[i] + 1];
    }
    float8 a = vload8(0, first), b = vload8(0, second);
    return a + (at - convert_float8(below)) * (b - a);
}

/* f(d)/d as one fraction; exactly 1 up to the knee. */
inline float8 gamut_compression(float knee, float8 d)
{
    float8 u = max(d - knee, 0.0f) / (1.0f - knee);
    return (knee * (1.0f + u) + (1.0f - knee) * u) / ((1.0f + u) * max(d, knee));
}

/* Negative channels scaled so that they take no more than the rest of LEAST_LUMINANCE of the others' luminance. */
inline colour8 limit_negative(__global const float *luminance, colour8 c)
{
    colour8 positive = {max(c.r, 0.0f), max(c.g, 0.0f), max(c.b, 0.0f)};
    float8 whole = luminance_of(luminance, positive), lack = whole - luminance_of(luminance, c);
    float8 allowed = (1.0f - LEAST_LUMINANCE) * whole;
    float8 part = select((float8)(1.0f), allowed / lack, lack > allowed);
    colour8 limited = {positive.r + part * min(c.r, 0.0f), positive.g + part * min(c.g, 0.0f),
                       positive.b + part * min(c.b, 0.0f)};
    return limited;
}

/* Slope (at .lo) and offset (at .hi) of RUN pixels from x on: bilinear between the centres of the cells. */
inline float16 exposure_line(__global const float2 *cells, int columns, int rows, int x, int y)
{
    float place = (y + 0.5f) / CELL - 0.5f, above = floor(place), part = place - above;
    __global const float2 *top = cells + (size_t)clamp((int)above, 0, rows - 1) * columns;
    __global const float2 *bottom = cells + (size_t)clamp((int)above + 1, 0, rows - 1) * columns;
    float2 column[RUN / CELL + 2];
    for (int i = 0; i < RUN / CELL + 2; i++) {
        int at = clamp(x / CELL + i - 1, 0, columns - 1);
        column[i] = top[at] + part * (bottom[at] - top[at]);
    }
    float slope[RUN], offset[RUN];
    for (int i = 0; i < RUN; i++) {
        float across = (i + 0.5f) / CELL + 0.5f;  /* in columns, from the one before the first */
        int left = (int)across;
        float2 line = column[left] + (across - left) * (column[left + 1] - column[left]);
        slope[i] = line.x;
        offset[i] = line.y;
    }
    return (float16)(vload8(0, slope), vload8(0, offset));
}

inline float8 load_clamped(const float *value)
{
    return fmin(fmax(vload8(0, value), -MAX_LIGHT), MAX_LIGHT);
}

inline void store_row(float8 value, __global ushort *row, int x, int width)
{
    ushort8 rounded = convert_ushort8_sat_rte(65535.0f * value);
    if (x + RUN <= width) {
        vstore8(rounded, 0, row + x);
        return;
    }
    ushort single[RUN];
    vstore8(rounded, 0, single);
    for (int i = 0; x + i < width; i++)
        row[x + i] = single[i];
}

__kernel void finish_tone(__global const float *light,      /* H W 3, working space */
                          __global const float *curve,      /* entries: display light */
                          __global const float *chroma,     /* entries: part of the chroma kept */
                          __global const float *encode,     /* entries: display value of light, by its root */
                          __global const float *to_space,   /* 3 3, working space to display primaries */
                          __global const float *luminance,  /* 3, of the display primaries */
                          __global const float2 *exposure,  /* ceil(H / CELL) ceil(W / CELL): slope, offset */
                          __global ushort *out,             /* 4 H W: encoded R, G, B, luma, 65535 = 1 */
                          int width, int height, int entries, float top, float gain, float saturation, float knee,
                          float low_ev, float high_ev)
{
    int x = RUN * get_global_id(0), y = get_global_id(1), last = entries - 1;
    if (x >= width || y >= height)
        return;
    float r[RUN], g[RUN], b[RUN];
    size_t line = (size_t)y * width, plane = (size_t)height * width;
    for (int i = 0; i < RUN; i++) {
        __global const float *pixel = light + 3 * (line + min(x + i, width - 1));
        r[i] = pixel[0];
        g[i] = pixel[1];
        b[i] = pixel[2];
    }
    colour8 v = {load_clamped(r), load_clamped(g), load_clamped(b)};
    colour8 c = scale(gain, convert_primaries(to_space, v));
    if (low_ev < high_ev) {
        int columns = (width + CELL - 1) / CELL, rows = (height + CELL - 1) / CELL;
        float16 line = exposure_line(exposure, columns, rows, x, y);
        float8 level = log2(max(max_channel(c), FLOOR));
        c = scale(exp2(clamp(line.lo * level + line.hi, low_ev, high_ev)), c);
    }
    float8 lum = luminance_of(luminance, c);
    float8 norm = max(max_channel(c), 0.0f);
    float8 t = sqrt(norm / top);
    float8 ratio = look_up(curve, last, t) / max(norm, 1e-12f);
    c = mix_with(max(lum, 0.0f), saturation, c);
    c = mix_with(norm * ratio, look_up(chroma, last, t), scale(ratio, c));
    c = limit_negative(luminance, c);
    lum = max(luminance_of(luminance, c), 0.0f);

    float8 edge = max((lum - min_channel(c)) / max(lum, 1e-6f), (max_channel(c) - lum) / max(1.0f - lum, 1e-6f));
    c = mix_with(lum, gamut_compression(knee, edge), c);
    c.r = look_up(encode, last, sqrt(clamp(c.r, 0.0f, 1.0f)));
    c.g = look_up(encode, last, sqrt(clamp(c.g, 0.0f, 1.0f)));
    c.b = look_up(encode, last, sqrt(clamp(c.b, 0.0f, 1.0f)));
    store_row(c.r, out + line, x, width);
    store_row(c.g, out + plane + line, x, width);
    store_row(c.b, out + 2 * plane + line, x, width);
    store_row(luminance_of(luminance, c), out + 3 * plane + line, x, width);
}
