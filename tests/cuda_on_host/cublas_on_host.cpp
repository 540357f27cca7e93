// What nanoemo calls of cuBLAS, on the host. Every call is handed to the stand-in's queue, which runs it at once or, where
// a stream is being captured, at each launch of the graph. Every number is read and written under the address
// sanitizer, which sees a leading dimension or a size that is wrong; the sums between are left to the compiler's best.

#include <cstddef>
#include <vector>

struct Product {
    bool is_double;
    int transpose_a, transpose_b, m, n, k;
    double alpha, beta;
    const void *a, *b;
    void* c;
    int lda, ldb, ldc;
    long long stride_a, stride_b, stride_c;
    int batch;
};

static void (*queue)(Product*);
static bool has_workspace;

// An operand as `rows` contiguous runs of k numbers.
template <typename T> static std::vector<T> in_runs(const T* x, int rows, int k, long long row_step, long long step) {
    std::vector<T> runs(size_t(rows) * k);
    for (int row = 0; row < rows; row++)
        for (int l = 0; l < k; l++) runs[size_t(row) * k + l] = x[row * row_step + l * step];
    return runs;
}

template <typename T>
__attribute__((noinline, optimize("O3", "fast-math"), no_sanitize("address", "undefined")))
static T dot(const T* a, const T* b, int k) {
    T sum = 0;
    for (int l = 0; l < k; l++) sum += a[l] * b[l];
    return sum;
}

template <typename T> static void multiply(const Product& p) {
    for (int batch = 0; batch < p.batch; batch++) {
        auto a = in_runs(static_cast<const T*>(p.a) + batch * p.stride_a, p.m, p.k, p.transpose_a ? p.lda : 1, p.transpose_a ? 1 : p.lda);
        auto b = in_runs(static_cast<const T*>(p.b) + batch * p.stride_b, p.n, p.k, p.transpose_b ? 1 : p.ldb, p.transpose_b ? p.ldb : 1);
        T* c = static_cast<T*>(p.c) + batch * p.stride_c;
        for (int j = 0; j < p.n; j++) {
            for (int i = 0; i < p.m; i++) {
                T& out = c[i + j * p.ldc];
                T sum = dot(a.data() + size_t(i) * p.k, b.data() + size_t(j) * p.k, p.k);
                out = T(p.alpha) * sum + (p.beta != 0 ? T(p.beta) * out : T(0));
            }
        }
    }
}

static int submit(Product p) {
    if (!has_workspace) return 1;
    int rows_a = p.transpose_a ? p.k : p.m, rows_b = p.transpose_b ? p.n : p.k;
    if (p.m < 0 || p.n < 0 || p.k < 0 || p.lda < rows_a || p.ldb < rows_b || p.ldc < p.m) return 7;
    queue(new Product(p));          // kept for as long as the process runs: a graph may launch it again
    return 0;
}

extern "C" {
void set_queue(void (*function)(Product*)) { queue = function; }
void run_product(Product* p) { p->is_double ? multiply<double>(*p) : multiply<float>(*p); }

int cublasCreate_v2(void** handle) { *handle = &queue; return 0; }
int cublasSetStream_v2(void*, void*) { has_workspace = false; return 0; }
int cublasSetWorkspace_v2(void*, void*, size_t) { has_workspace = true; return 0; }
int cublasSetMathMode(void*, int) { return 0; }

int cublasSgemm_v2(void*, int ta, int tb, int m, int n, int k, const float* alpha, const float* a, int lda, const float* b,
                   int ldb, const float* beta, float* c, int ldc) {
    return submit({false, ta, tb, m, n, k, *alpha, *beta, a, b, c, lda, ldb, ldc, 0, 0, 0, 1});
}
int cublasDgemm_v2(void*, int ta, int tb, int m, int n, int k, const double* alpha, const double* a, int lda,
                   const double* b, int ldb, const double* beta, double* c, int ldc) {
    return submit({true, ta, tb, m, n, k, *alpha, *beta, a, b, c, lda, ldb, ldc, 0, 0, 0, 1});
}
int cublasSgemmStridedBatched(void*, int ta, int tb, int m, int n, int k, const float* alpha, const float* a, int lda,
                              long long sa, const float* b, int ldb, long long sb, const float* beta, float* c, int ldc,
                              long long sc, int batch) {
    return submit({false, ta, tb, m, n, k, *alpha, *beta, a, b, c, lda, ldb, ldc, sa, sb, sc, batch});
}
int cublasDgemmStridedBatched(void*, int ta, int tb, int m, int n, int k, const double* alpha, const double* a, int lda,
                              long long sa, const double* b, int ldb, long long sb, const double* beta, double* c, int ldc,
                              long long sc, int batch) {
    return submit({true, ta, tb, m, n, k, *alpha, *beta, a, b, c, lda, ldb, ldc, sa, sb, sc, batch});
}
}
