/* What a pair's two frames look like in each low cell, for blur_paths' lookups along edges: 8 halves a cell.

     s012  sqrt of the first frame's mean light, s456 the second's: sum xyz / sum w over the cell's pixels,
           soft gamma applied; a frame that knows nothing there takes the other's, 0 when neither does
     s7    1 where lines of the 5 x 5 cells around differ in x or y by more than DIFFER half-resolution pixels,
           else 0: there every lookup agrees within that
     s3    0

   Even light v -> sqrt(v); even lines -> s7 = 0. Cells that stick out of the picture take what lies inside. */

#include "common_lookup.cl"

/* Half-resolution pixels. */
#define DIFFER 0.5f
/* Cells to each side: those that any lookup nearest to this cell reads. */
#define AROUND 2

/* Sum of a frame's k x k pixels. */
inline float4 sum_of(__global const half *frame, int width, int height, int k, int x, int y)
{
    int right = min((x + 1) * k, width), bottom = min((y + 1) * k, height);
    float4 sum = 0.0f;
    for (int j = y * k; j < bottom; j++)
        for (int i = x * k; i < right; i++)
            sum += vload_half4((size_t)j * width + i, frame);
    return sum;
}

__kernel void blur_guide(__global const half *first, __global const half *second, __global const float *lines,
                         __global half *guide, int width, int height, int low_width, int low_height, int k)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= low_width || y >= low_height)
        return;
    int size = low_width * low_height, at = y * low_width + x;
    float4 least = INFINITY, largest = -INFINITY;
    for (int j = max(y - AROUND, 0); j <= min(y + AROUND, low_height - 1); j++)
        for (int i = max(x - AROUND, 0); i <= min(x + AROUND, low_width - 1); i++) {
            int cell = j * low_width + i;
            float4 both = (float4)(vload2(cell, lines), vload2(size + cell, lines));
            least = fmin(least, both);
            largest = fmax(largest, both);
        }
    float4 one = sum_of(first, width, height, k, x, y), two = sum_of(second, width, height, k, x, y);
    float4 early = look_of(one, two), late = look_of(two, one);
    late.w = any(k * (largest - least) > DIFFER) ? 1.0f : 0.0f;
    vstore_half8((float8)(early, late), at, guide);
}
