/* A picture with three colours a pixel to working-space light of the same size; curve as in develop_bin_rgb.
   Merged pictures and light (MERGED) are raw values already: VALUE is float and curve is not read. */
__kernel void develop_rgb(__global const VALUE *values, __global const float *curve, __global float *light,
                          int width, int height, float16 colour)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t at = (size_t)y * width + x;
#ifdef MERGED
    float3 raw = vload3(at, values);
#else
    float3 raw = (float3)(curve[values[3 * at]], curve[LEVELS + values[3 * at + 1]],
                          curve[2 * LEVELS + values[3 * at + 2]]);
#endif
    vstore3(working_light(raw, colour), at, light);
}
