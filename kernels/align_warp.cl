/* A frame resampled on the reference's grid: out(p) = frame(p + d(p)), d the displacement of a pull map.

   With H = I + [[a, b, c], [d, e, f], [g, h, 0]] and w = 1 + g x + h y, the displacement of the homography is
     dx = (a x + b y + c - x (g x + h y)) / w,   dy = (d x + e y + f - y (g x + h y)) / w,
   which is exactly 0 for H = I and keeps its precision far from the origin; the mesh's offset, bilinear between
   its corners, is added: cells holds, for every row of the picture and every cell along it, the offset at the
   cell's left edge and its change across the cell. The displacement is split into whole and fractional pixels
   before it is added to p.

   Light is interpolated by Catmull-Rom (Keys 1981, a = -1/2), clamped to the range of the four nearest pixels, so
   that clipped lights have no dark halo. With most > 0, what is between pixels may be brighter than they, up to most
   (peaked, in common.cl): small lights keep their peak. Extremes: fraction 0 -> that pixel, exactly; constant light -> itself.
   Pixels without coverage have no weight; light is not multiplied by the coverage.

   Coverage is bilinear, times 1 inside the frame falling to 0 one pixel outside; light is 0 where coverage is. */

/* Four neighbouring pixels of row y, edges clamped. */
inline float16 fetch_row(__global const half *frame, int width, int height, int x, int y)
{
    return (float16)(fetch4(frame, width, height, x, y), fetch4(frame, width, height, x + 1, y),
                     fetch4(frame, width, height, x + 2, y), fetch4(frame, width, height, x + 3, y));
}

/* A row times its weights: light times coverage in xyz, the sum of weights times coverage in w. */
inline float4 sum_row(float16 row, float4 weight)
{
    weight *= row.s37bf;
    float4 sum = weight.x * row.s0123 + weight.y * row.s4567 + weight.z * row.s89ab + weight.w * row.scdef;
    sum.w = weight.x + weight.y + weight.z + weight.w;
    return sum;
}

/* The sample at (x, y) + part near an edge or where some of the 16 pixels are not fully covered. */
inline float4 sample_partial(__global const half *frame, int width, int height, int x, int y, float2 part)
{
    float4 wx = catmull_rom(part.x), wy = catmull_rom(part.y);
    float16 above = fetch_row(frame, width, height, x - 1, y), below = fetch_row(frame, width, height, x - 1, y + 1);
    float4 sum = wy.x * sum_row(fetch_row(frame, width, height, x - 1, y - 1), wx) + wy.y * sum_row(above, wx)
               + wy.z * sum_row(below, wx) + wy.w * sum_row(fetch_row(frame, width, height, x - 1, y + 2), wx);
    float4 a = above.s4567, b = above.s89ab, c = below.s4567, d = below.s89ab;
    float4 low = (float4)(INFINITY), high = (float4)(-INFINITY);
    low = a.w > 0.0f ? min(low, a) : low, high = a.w > 0.0f ? max(high, a) : high;
    low = b.w > 0.0f ? min(low, b) : low, high = b.w > 0.0f ? max(high, b) : high;
    low = c.w > 0.0f ? min(low, c) : low, high = c.w > 0.0f ? max(high, c) : high;
    low = d.w > 0.0f ? min(low, d) : low, high = d.w > 0.0f ? max(high, d) : high;

    /* Where negative weights leave too little to divide by, the middle of the range of the four nearest is used. */
    float4 light = sum.w > 0.1f ? clamp(sum / sum.w, low, high) : 0.5f * (low + high);
    float top = a.w + part.x * (b.w - a.w), bottom = c.w + part.x * (d.w - c.w);
    float2 inside = min((float2)(x + 1, y + 1) + part, (float2)(width - x, height - y) - part);
    inside = clamp(inside, 0.0f, 1.0f);
    light.w = (top + part.y * (bottom - top)) * inside.x * inside.y;
    return light.w > 0.0f ? light : (float4)(0.0f);
}

__kernel void align_warp(__global const half *frame, __global const float *cells, __global half *out, int width,
                         int height, int columns, float8 h, float cells_per_px, float most)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t here = (size_t)y * width + x;

    float perspective = h.s6 * x + h.s7 * y, w = 1.0f + perspective;
    float2 move = (float2)(h.s0 * x + h.s1 * y + h.s2 - x * perspective,
                           h.s3 * x + h.s4 * y + h.s5 - y * perspective) / w;
    float u = min((x + 0.5f) * cells_per_px, (float)columns);
    int cell = min((int)u, columns - 1);
    float4 offset = vload4((size_t)y * columns + cell, cells);
    move += offset.xy + (u - cell) * offset.zw;

    /* NaN and points behind the camera fail these comparisons, as does everything a pixel outside the frame. */
    float2 at = (float2)(x, y) + move;
    if (!(w > 0.0f && at.x > -1.0f && at.y > -1.0f && at.x < width && at.y < height)) {
        vstore_half4((float4)(0.0f), here, out);
        return;
    }
    float2 whole = floor(move), part = move - whole;
    int ix = x + (int)whole.x, iy = y + (int)whole.y;
    float4 light;
    bool all_covered = ix >= 1 && iy >= 1 && ix + 2 < width && iy + 2 < height;
    if (all_covered) {
        __global const half *corner = frame + ((size_t)(iy - 1) * width + ix - 1) * 4;
        float16 r0 = vload_half16(0, corner), r1 = vload_half16(0, corner + 4 * width);
        float16 r2 = vload_half16(0, corner + 8 * width), r3 = vload_half16(0, corner + 12 * width);
        float16 row_minimum = min(min(r0, r1), min(r2, r3));
        float4 coverage = min(min(row_minimum.s0123, row_minimum.s4567), min(row_minimum.s89ab, row_minimum.scdef));
        all_covered = coverage.w == 1.0f;
        if (most > 0.0f) {
            float16 column = peaked_columns(r0, r1, r2, r3, part.y, most);
            light = peaked(column.s0123, column.s4567, column.s89ab, column.scdef, part.x, most);
        } else {
            float4 wx = catmull_rom(part.x), wy = catmull_rom(part.y);
            float16 column = wy.x * r0 + wy.y * r1 + wy.z * r2 + wy.w * r3;
            float16 low = min(r1, r2), high = max(r1, r2);
            light = wx.x * column.s0123 + wx.y * column.s4567 + wx.z * column.s89ab + wx.w * column.scdef;
            light = clamp(light, min(low.s4567, low.s89ab), max(high.s4567, high.s89ab));
        }
    }
    if (!all_covered)
        light = sample_partial(frame, width, height, ix, iy, part);
    vstore_half4(light, here, out);
}
