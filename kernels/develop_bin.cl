/* One 2x2 cell of a colour filter array to one half-resolution pixel of working-space light.

   All colours have the same filter, (1, 3, 3, 1) / 8 in each direction, so that edges have no coloured fringes: each
   of the cell's four positions, a quarter of its own spacing from the centre, is (3/4, 1/4) of the two nearest
   samples in each direction, and green is the mean of its two. A linear ramp is reproduced exactly for every
   phase of the pattern. Beyond the picture's edge the nearest sample of the colour is repeated. red is the position of red in the cell: 0 1 / 2 3; black and inverse
   hold one value for each position: raw = (value - black) * inverse. Channel 4 is 1.

   Clipping is judged on samples: a channel is as clipped as the most clipped of its samples, and highlights are
   rebuilt from the others (rebuilt_light). There are two passes. The first computes the cells without clipped samples;
   `marks` becomes 1 in every tile of RIM_CELLS x RIM_CELLS cells that has others. The second, with rim colours if
   there are any, computes those of the marked tiles. */

__kernel void develop_bin(__global const VALUE *values, __global half *frame, __global uchar *marks,
                          __global const float *rim, int width, int height, int red, float4 black, float4 inverse,
                          float16 colour, int second, int rim_columns, int rim_rows)
{
    int x = get_global_id(0), y = get_global_id(1);
    int half_width = (width + 1) / 2, half_height = (height + 1) / 2;
    if (x >= half_width || y >= half_height)
        return;
    size_t tile = (size_t)(y / RIM_CELLS) * ((half_width + RIM_CELLS - 1) / RIM_CELLS) + x / RIM_CELLS;
    if (second && !marks[tile])
        return;
    float3 clipped, light;
    float mixed;
    float3 raw = raw_cell(values, width, height, red, black, inverse, colour.s3, x, y, &clipped, &mixed);
    if (clipped.x > 0.0f || clipped.y > 0.0f || clipped.z > 0.0f) {
        marks[tile] = 1;
        if (!second)
            return;
        light = rebuilt_light(raw, clipped, mixed, sample_rim(rim, rim_columns, rim_rows, x, y), colour);
    } else {
        if (second)
            return;
        light = to_working(raw * colour.s012, colour);
    }
    vstore_half4((float4)(light, 1.0f), (size_t)y * half_width + x, frame);
}
