/* The gain map: log2 of how much brighter an HDR display shows each cell than the SDR print, as 8 bits.

     ev  = clamp(slope level + offset, low_ev, high_ev)               local exposure (finish_fit)
     out = round(255 (hdr(2^(level + max(ev, 0))) - sdr(2^(level + ev))) / range_ev)

   hdr and sdr are tables of log2(display light + offset). Highlights that fusion has darkened for the print are as bright
   as the scene's on an HDR display. Extremes: 0 where hdr and sdr agree and ev >= 0; clamped to 255. */

inline float look_up(__global const float *table, int entries, float n, float top)
{
    float at = fmin(sqrt(n / top), 1.0f) * (entries - 1);
    int i = min((int)at, entries - 2);
    return table[i] + (at - i) * (table[i + 1] - table[i]);
}

__kernel void finish_gain(__global const float *level,      /* H W: log2 of each cell's light (finish_cells) */
                          __global const float2 *exposure,  /* H W: slope and offset of its exposure */
                          __global const float *sdr,        /* entries, by sqrt(n / top) */
                          __global const float *hdr,        /* entries */
                          __global uchar *out,              /* H W */
                          int width, int height, int entries, float top, float low_ev, float high_ev, float range_ev)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t here = (size_t)y * width + x;
    float l = level[here], ev = clamp(exposure[here].x * l + exposure[here].y, low_ev, high_ev);
    float shown = look_up(sdr, entries, exp2(l + ev), top);
    float scene = look_up(hdr, entries, exp2(l + fmax(ev, 0.0f)), top);
    out[here] = convert_uchar_sat_rte(255.0f * (scene - shown) / range_ev);
}
