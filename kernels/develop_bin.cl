/* One 2x2 cell of a colour filter array to one half-resolution pixel of working-space light.

   All colours have the same filter, (1, 3, 3, 1) / 8 in each direction, so that edges have no coloured fringes: each
   of the cell's four positions, a quarter of its own spacing from the centre, is (3/4, 1/4) of the two nearest
   samples in each direction, and green is the mean of its two. A linear ramp is reproduced exactly for every phase of the pattern. Beyond the picture's edge the
   nearest sample of the colour is repeated. red is the position of red in the cell: 0 1 / 2 3; black and inverse
   hold one value for each position: raw = (value - black) * inverse. Channel 4 is 1. */

/* The nearest coordinate inside the picture that has the same position in the pattern. */
inline int nearest_sample(int at, int size)
{
    return clamp(at < 0 ? at + 2 : at >= size ? at - 2 : at, 0, size - 1);
}

inline float at_position(float4 four, int position)
{
    return position == 0 ? four.x : position == 1 ? four.y : position == 2 ? four.z : four.w;
}

/* (3/4, 1/4) of two samples in each direction; near_row and far_row are indices of their rows' first samples. */
inline float interpolate_quarter(__global const VALUE *values, size_t near_row, size_t far_row, int near, int far)
{
    float first = 0.75f * convert_float(values[near_row + near]) + 0.25f * convert_float(values[near_row + far]);
    float second = 0.75f * convert_float(values[far_row + near]) + 0.25f * convert_float(values[far_row + far]);
    return 0.75f * first + 0.25f * second;
}

__kernel void develop_bin(__global const VALUE *values, __global half *frame, int width, int height, int red,
                          float4 black, float4 inverse, float16 colour)
{
    int x = get_global_id(0), y = get_global_id(1);
    int half_width = (width + 1) / 2, half_height = (height + 1) / 2;
    if (x >= half_width || y >= half_height)
        return;
    int px = red & 1, py = red >> 1, qx = 1 - px, qy = 1 - py; /* positions of red and of blue */
    int red_x = nearest_sample(2 * x + px, width), red_far_x = nearest_sample(2 * x + 2 - 3 * px, width);
    int blue_x = nearest_sample(2 * x + qx, width), blue_far_x = nearest_sample(2 * x + 2 - 3 * qx, width);
    size_t red_row = (size_t)nearest_sample(2 * y + py, height) * width;
    size_t red_far_row = (size_t)nearest_sample(2 * y + 2 - 3 * py, height) * width;
    size_t blue_row = (size_t)nearest_sample(2 * y + qy, height) * width;
    size_t blue_far_row = (size_t)nearest_sample(2 * y + 2 - 3 * qy, height) * width;

    float r = interpolate_quarter(values, red_row, red_far_row, red_x, red_far_x);
    float g = interpolate_quarter(values, red_row, red_far_row, blue_x, blue_far_x);
    float h = interpolate_quarter(values, blue_row, blue_far_row, red_x, red_far_x);
    float b = interpolate_quarter(values, blue_row, blue_far_row, blue_x, blue_far_x);
    g = (g - at_position(black, red ^ 1)) * at_position(inverse, red ^ 1);
    h = (h - at_position(black, red ^ 2)) * at_position(inverse, red ^ 2);
    float3 raw = (float3)((r - at_position(black, red)) * at_position(inverse, red), 0.5f * (g + h),
                          (b - at_position(black, red ^ 3)) * at_position(inverse, red ^ 3));
    vstore_half4((float4)(working_light(raw, colour), 1.0f), (size_t)y * half_width + x, frame);
}
