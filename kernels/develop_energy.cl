/* Gradient energy of a half-resolution frame in each low pixel, relative to its brightness:

       energy = mean(dx^2 + dy^2) / (mean(L)^2 + dark^2),

   L luminance (Rec.2020), dx and dy the differences to the right and lower neighbour (0 at the picture's
   edge). A constant picture gives 0 exactly; stored as a half float, clamped to its largest value. */

inline float luminance(__global const half *frame, int width, int height, int x, int y)
{
    return dot(fetch4(frame, width, height, x, y).xyz, (float3)(0.2627f, 0.6780f, 0.0593f));
}

__kernel void develop_energy(__global const half *frame, __global half *energy, int width, int height, int k,
                             float dark)
{
    int x = get_global_id(0), y = get_global_id(1);
    int low_width = (width + k - 1) / k, low_height = (height + k - 1) / k;
    if (x >= low_width || y >= low_height)
        return;
    int right = min((x + 1) * k, width), bottom = min((y + 1) * k, height);
    float squares = 0.0f, sum = 0.0f;
    for (int j = y * k; j < bottom; j++)
        for (int i = x * k; i < right; i++) {
            float here = luminance(frame, width, height, i, j);
            float dx = luminance(frame, width, height, i + 1, j) - here;
            float dy = luminance(frame, width, height, i, j + 1) - here;
            squares += dx * dx + dy * dy;
            sum += here;
        }
    float count = (float)((right - x * k) * (bottom - y * k)), mean = sum / count;
    float ratio = squares / count / (mean * mean + dark * dark);
    vstore_half(fmin(ratio, 65504.0f), (size_t)y * low_width + x, energy);
}
